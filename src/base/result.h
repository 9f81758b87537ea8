// Result<T, E>: a value or an error, with std::expected's spelling.
// std::expected itself is invisible to Clang 14 on Debian 12's library, hence this small class.
// Outcome<T> carries a Failure: an error with a sentence for a person.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/assert.h"
#include "base/error.h"

namespace xsan {

// Wraps an error so that it converts to any Result; the twin of std::unexpected.
template <class E>
struct Unexpected {
    E error;
};
template <class E>
Unexpected(E) -> Unexpected<E>;

template <class T, class E = Error>
class [[nodiscard]] Result {
  public:
    using value_type = T;
    using error_type = E;

    template <class U = T>
        requires(std::is_constructible_v<T, U &&> && !std::is_same_v<std::remove_cvref_t<U>, Result> &&
                 !std::is_same_v<std::remove_cvref_t<U>, E>)
    Result(U&& value) : state_(std::in_place_index<0>, std::forward<U>(value)) {}
    Result(E error) : state_(std::in_place_index<1>, std::move(error)) {}
    template <class F>
    Result(Unexpected<F> u) : state_(std::in_place_index<1>, std::move(u.error)) {}

    bool has_value() const { return state_.index() == 0; }
    explicit operator bool() const { return has_value(); }
    T& value() & { return checked(); }
    const T& value() const& { return const_cast<Result*>(this)->checked(); }
    T&& value() && { return std::move(checked()); }
    T& operator*() & { return checked(); }
    const T& operator*() const& { return const_cast<Result*>(this)->checked(); }
    T&& operator*() && { return std::move(checked()); }
    T* operator->() { return &checked(); }
    const T* operator->() const { return &const_cast<Result*>(this)->checked(); }
    const E& error() const {
        XSAN_ASSERT(!has_value());
        return std::get<1>(state_);
    }

  private:
    T& checked() {
        XSAN_ASSERT(has_value());
        return std::get<0>(state_);
    }
    std::variant<T, E> state_;
};

template <class E>
class [[nodiscard]] Result<void, E> {
  public:
    using value_type = void;
    using error_type = E;

    Result() = default;
    Result(E error) : error_(std::move(error)) {}
    template <class F>
    Result(Unexpected<F> u) : error_(std::move(u.error)) {}

    bool has_value() const { return !error_.has_value(); }
    explicit operator bool() const { return has_value(); }
    const E& error() const {
        XSAN_ASSERT(error_.has_value());
        return *error_;
    }

  private:
    std::optional<E> error_;
};

// The data path's void result: the eight bytes of Error and nothing else. Error{ok} is success.
template <>
class [[nodiscard]] Result<void, Error> {
  public:
    using value_type = void;
    using error_type = Error;

    Result() = default;
    Result(Error error) : error_(error) {}
    template <class F>
    Result(Unexpected<F> u) : error_(u.error) {}

    bool has_value() const { return error_.is_ok(); }
    explicit operator bool() const { return has_value(); }
    const Error& error() const { return error_; }

  private:
    Error error_;
};

template <class T = void>
using Outcome = Result<T, Failure>;

}  // namespace xsan

#define XSAN_CONCAT_INNER(a, b) a##b
#define XSAN_CONCAT(a, b) XSAN_CONCAT_INNER(a, b)

// XSAN_TRY(auto x, f()); returns f's error from this function, or declares x as its value.
#define XSAN_TRY(declaration, expression) \
    XSAN_TRY_IMPL(return, declaration, expression, XSAN_CONCAT(xsan_try_, __LINE__))
// XSAN_TRY_VOID(f()); the same for a result without a value.
#define XSAN_TRY_VOID(expression) \
    XSAN_TRY_VOID_IMPL(return, expression, XSAN_CONCAT(xsan_try_, __LINE__))
// The same inside a coroutine. The expression is awaited by the macro: XSAN_CO_TRY(auto x, f());
#define XSAN_CO_TRY(declaration, awaitable) \
    XSAN_TRY_IMPL(co_return, declaration, co_await awaitable, XSAN_CONCAT(xsan_try_, __LINE__))
#define XSAN_CO_TRY_VOID(awaitable) \
    XSAN_TRY_VOID_IMPL(co_return, co_await awaitable, XSAN_CONCAT(xsan_try_, __LINE__))
// A plain (not awaited) expression checked inside a coroutine.
#define XSAN_CO_CHECK(declaration, expression) \
    XSAN_TRY_IMPL(co_return, declaration, expression, XSAN_CONCAT(xsan_try_, __LINE__))
#define XSAN_CO_CHECK_VOID(expression) \
    XSAN_TRY_VOID_IMPL(co_return, expression, XSAN_CONCAT(xsan_try_, __LINE__))

#define XSAN_TRY_IMPL(leave, declaration, expression, name) \
    auto name = expression;                                 \
    if (!name.has_value()) leave ::xsan::Unexpected{name.error()}; \
    declaration = std::move(name).value()
// One statement, so that it may stand behind an if without braces.
#define XSAN_TRY_VOID_IMPL(leave, expression, name) \
    if (auto name = expression; !name.has_value()) leave ::xsan::Unexpected{name.error()}
