// The documents say what the programs do: docs/rpc.md has every method with every parameter and
// nothing else, man/xsanctl.8 has every command and option.
#include <fmt/format.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "rpc/methods.h"
#include "support/catch.h"
#include "xsanctl/command_line.h"

using namespace xsan;
using namespace xsan::rpc;

namespace {

std::string read_document(const std::string& name) {
    std::ifstream file(std::string(XSAN_SOURCE_DIR) + "/" + name);
    REQUIRE(file.good());
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// The text from a method's heading to the next one.
std::string section_of(const std::string& document, std::string_view method) {
    const std::string heading = fmt::format("\n### {}\n", method);
    const auto begin = document.find(heading);
    if (begin == std::string::npos) return {};
    const auto end = document.find("\n### ", begin + heading.size());
    return document.substr(begin, end == std::string::npos ? end : end - begin);
}

// A row of a parameter table, up to the column with the explanation.
std::string row_of(const ParamSpec& param) {
    const std::string need = param.required            ? std::string("yes")
                             : param.fallback.empty() ? std::string("no")
                                                      : fmt::format("no: `{}`", param.fallback);
    return fmt::format("| `{}` | {} | {} | {} |", param.name, param_type_name(param.type), need,
                       describe_range(param));
}

// man pages write "-" as "\-".
std::string without_escapes(std::string text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); i++) {
        if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == '-') continue;
        plain += text[i];
    }
    return plain;
}

// `words`: the commands that lead to this one, as in "volume ".
void check_options(CLI::App& app, const std::string& words, const std::string& page) {
    for (const auto* option : app.get_options()) {
        for (const auto& name : option->get_lnames()) {
            CAPTURE(app.get_name(), name);
            CHECK(page.find("--" + name) != std::string::npos);
        }
    }
    for (auto* sub : app.get_subcommands([](CLI::App*) { return true; })) {
        const std::string command = words + sub->get_name();
        CAPTURE(command);
        CHECK(page.find("\n.B " + command) != std::string::npos);
        check_options(*sub, command + " ", page);
    }
}

}  // namespace

TEST_CASE("docs/rpc.md describes every method, its role and each of its parameters",
          "[rpc][docs]") {
    const std::string document = read_document("docs/rpc.md");
    for (const auto& method : methods()) {
        CAPTURE(method.name);
        const std::string section = section_of(document, method.name);
        REQUIRE(!section.empty());
        CHECK(section.find(fmt::format("Role: {}.", role_name(method.role))) != std::string::npos);
        std::size_t rows = 0;
        for (auto at = section.find("\n| `"); at != std::string::npos;
             at = section.find("\n| `", at + 1)) {
            rows++;
        }
        CHECK(rows == method.params.size());
        for (const auto& param : method.params) {
            const std::string row = row_of(param);
            CAPTURE(row);
            CHECK(section.find("\n" + row) != std::string::npos);
        }
        CHECK(section.find("\nResult: ") != std::string::npos);
        CHECK(section.find(fmt::format("\"method\":\"{}\"", method.name)) != std::string::npos);
    }
}

TEST_CASE("docs/rpc.md names the errors of each method; of wear, where no accounts are kept and what is not durable",
          "[rpc][docs]") {
    const std::string document = read_document("docs/rpc.md");
    for (const auto& method : methods()) {
        CAPTURE(method.name);
        const std::string section = section_of(document, method.name);
        const auto begin = section.find("\nErrors: ");
        REQUIRE(begin != std::string::npos);
        const std::string errors = section.substr(begin, section.find('\n', begin + 1) - begin);
        const bool is_wear = method.name.starts_with("wear.");
        if (is_wear) CHECK(errors.find("`unsupported`") != std::string::npos);
        const std::set<std::string_view> durable{"wear.policy", "wear.set",  "wear.endurance",
                                                 "wear.start",  "wear.stop", "wear.reset"};
        if (is_wear) CHECK((errors.find("`io_error`") != std::string::npos) == durable.contains(method.name));
    }
}

TEST_CASE("docs/rpc.md describes no method that does not exist", "[rpc][docs]") {
    std::istringstream document(read_document("docs/rpc.md"));
    std::string line;
    std::size_t sections = 0;
    while (std::getline(document, line)) {
        if (!line.starts_with("### ")) continue;
        CAPTURE(line);
        CHECK(find_method(line.substr(4)) != nullptr);
        sections++;
    }
    CHECK(sections == methods().size());
}

TEST_CASE("the manual page of xsanctl has every command and option", "[rpc][docs]") {
    ctl::CommandLine command_line("/");
    check_options(command_line.app(), "", without_escapes(read_document("man/xsanctl.8")));
}

TEST_CASE("the manual page of xsand has its options", "[rpc][docs]") {
    const std::string page = without_escapes(read_document("man/xsand.8"));
    for (const char* option : {"--config", "--socket", "--run-folder", "--help", "--version"}) {
        CHECK(page.find(option) != std::string::npos);
    }
}
