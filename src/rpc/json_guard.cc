// A SAX pass that checks the limits, then nlohmann's parser for the value. The parser is iterative,
// so depth costs no stack in either pass.
#include "rpc/json_guard.h"

#include <fmt/format.h>

#include <unordered_set>
#include <vector>

#include "base/text.h"

namespace xsan::rpc {
namespace {

using nlohmann::json;

// Keeps the first complaint; every handler returns false to stop the parser there.
class Guard final : public nlohmann::json_sax<json> {
  public:
    const std::string& problem() const { return problem_; }

    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool number_integer(number_integer_t) override { return true; }
    bool number_unsigned(number_unsigned_t) override { return true; }
    bool number_float(number_float_t, const string_t&) override { return true; }
    bool string(string_t&) override { return true; }
    bool binary(binary_t&) override { return complain("binary values are not JSON"); }

    bool start_object(std::size_t) override { return enter(); }
    bool end_object() override { return leave(); }
    bool start_array(std::size_t) override { return enter(); }
    bool end_array() override { return leave(); }

    bool key(string_t& name) override {
        if (levels_.back().insert(name).second) return true;
        return complain(
            fmt::format("the key '{}' appears twice in one object", quotable(name)));
    }

    bool parse_error(std::size_t position, const std::string&,
                     const nlohmann::json::exception& error) override {
        const bool range = error.id == 406;
        return complain(fmt::format(
            "{} at byte {}", range ? "a number is out of range" : "this is not JSON", position));
    }

  private:
    bool enter() {
        if (levels_.size() == kJsonDepthMax) {
            return complain(fmt::format("nested deeper than {} levels", kJsonDepthMax));
        }
        levels_.emplace_back();
        return true;
    }
    bool leave() {
        levels_.pop_back();
        return true;
    }
    bool complain(std::string problem) {
        if (problem_.empty()) problem_ = std::move(problem);
        return false;
    }

    std::vector<std::unordered_set<std::string>>
        levels_;  // the keys seen, per open object or array
    std::string problem_;
};

}  // namespace

Outcome<json> parse_json(std::string_view text) {
    Guard guard;
    if (!json::sax_parse(text, &guard)) return Failure(Errc::invalid_argument, guard.problem());
    json value = json::parse(text, nullptr, false);
    if (value.is_discarded()) return Failure(Errc::invalid_argument, "this is not JSON");
    return value;
}

std::string print_json(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace xsan::rpc
