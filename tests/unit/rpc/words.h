// What xsanctl makes of words on its command line.
#pragma once

#include <string>
#include <vector>

#include "support/catch.h"
#include "xsanctl/command_line.h"

namespace xsan::test {

inline Outcome<ctl::CommandLine::Parsed> parse(const std::vector<std::string>& words) {
    std::vector<const char*> argv = {"xsanctl"};
    for (const auto& word : words) argv.push_back(word.c_str());
    ctl::CommandLine command_line("/home/me");
    return command_line.parse(static_cast<int>(argv.size()), argv.data());
}

inline ctl::Invocation invocation_of(const std::vector<std::string>& words) {
    const auto parsed = parse(words);
    if (!parsed) FAIL(parsed.error().message);
    REQUIRE(parsed->invocation);
    return *parsed->invocation;
}

// Words that are refused, in one line.
inline std::string usage_error(const std::vector<std::string>& words) {
    const auto parsed = parse(words);
    CAPTURE(words);
    REQUIRE(!parsed);
    CHECK(parsed.error().code == Errc::invalid_argument);
    CHECK(parsed.error().message.find('\n') == std::string::npos);
    return parsed.error().message;
}

}  // namespace xsan::test
