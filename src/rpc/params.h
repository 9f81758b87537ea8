// Typed access to parameters that check_params() has accepted. Asking for a type that the table
// does not declare is a broken invariant of the handler.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xsan::rpc {

// A view: the json must outlive it.
class Params {
  public:
    explicit Params(const nlohmann::json& object) : object_(&object) {}

    bool has(std::string_view name) const { return find(name) != nullptr; }
    // Required or defaulted parameters.
    std::string text(std::string_view name) const;
    std::uint64_t size(std::string_view name) const;
    bool flag(std::string_view name) const;
    std::vector<std::string> texts(std::string_view name) const;
    // Optional ones.
    std::optional<std::string> maybe_text(std::string_view name) const;
    std::optional<std::uint64_t> maybe_size(std::string_view name) const;

  private:
    const nlohmann::json* find(std::string_view name) const;
    const nlohmann::json& require(std::string_view name) const;
    const nlohmann::json* object_;
};

}  // namespace xsan::rpc
