// xsanctl: the administrator's tool. Exit codes: 0 done, 1 refused or failed, 2 usage, 3 no
// daemon; 4 and 5 of `wear predict --check`.
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "xsanctl/session.h"

int main(int argc, char** argv) {
    using namespace xsan::ctl;
    std::error_code error;
    const auto directory = std::filesystem::current_path(error);
    CommandLine command_line(error ? "/" : directory.string());
    const auto parsed = command_line.parse(argc, argv);
    if (!parsed) {
        print_error(command_line.wants_json(), std::string(errc_name(parsed.error().code)),
                    parsed.error().message);
        return kExitUsage;
    }
    if (!parsed->invocation) {
        std::fputs(parsed->text.c_str(), stdout);
        return kExitDone;
    }
    return run(*parsed->invocation);
}
