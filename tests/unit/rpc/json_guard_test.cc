// Properties of the guarded JSON parser.
#include "rpc/json_guard.h"

#include <string>

#include "support/catch.h"

using namespace xsan;
using namespace xsan::rpc;

namespace {

std::string problem_of(const std::string& text) {
    const auto value = parse_json(text);
    return value ? std::string() : value.error().message;
}

}  // namespace

TEST_CASE("valid JSON comes out as it went in", "[rpc][json]") {
    for (const char* text : {"null", "[]", "{}", "-12", "1.5", "\"a\"", "18446744073709551615",
                             R"({"a":[1,{"b":"c"}],"d":{"a":true}})"}) {
        const auto value = parse_json(text);
        REQUIRE(value);
        CHECK(print_json(*value) == text);
    }
}

TEST_CASE("what is not JSON is refused with the place, and never thrown", "[rpc][json]") {
    for (const char* text : {"", " ", "hello", "{", "[1,]", "{\"a\":}", "{'a':1}", "nul", "1 2",
                             "\"\xff\"", "\"\x01\"", "{\"a\":1}}", "\"\\ud800\"", "NaN", "01"}) {
        CAPTURE(text);
        CHECK(problem_of(text).find("not JSON at byte") != std::string::npos);
    }
    CHECK(problem_of("1e999").find("out of range") != std::string::npos);
}

TEST_CASE("nesting of 32 levels passes and 33 does not", "[rpc][json]") {
    const auto nested = [](std::size_t depth) {
        return std::string(depth, '[') + std::string(depth, ']');
    };
    CHECK(parse_json(nested(32)));
    CHECK(problem_of(nested(33)) == "nested deeper than 32 levels");
    CHECK(problem_of(std::string(1 << 20, '[')) == "nested deeper than 32 levels");
    std::string objects;
    for (int i = 0; i < 100; i++) objects += "{\"a\":";
    CHECK(problem_of(objects) == "nested deeper than 32 levels");
}

TEST_CASE("a key twice in one object is refused, in different objects it is not", "[rpc][json]") {
    CHECK(problem_of(R"({"a":1,"b":2,"a":3})") == "the key 'a' appears twice in one object");
    CHECK(problem_of(R"({"x":{"a":1,"\u0061":2}})") == "the key 'a' appears twice in one object");
    CHECK(parse_json(R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})"));
}

TEST_CASE("bytes that are not UTF-8 print as replacement characters", "[rpc][json]") {
    CHECK(print_json(nlohmann::json("a\xff")) == "\"a\xEF\xBF\xBD\"");
}
