// ListenAddress: where a server for this machine alone listens.
// Invariant: a loopback address and a port of 1 to 65535, whatever the configuration said; the host is a number, never
// a name that somebody could let mean another one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace xsan::daemon {

struct ListenAddress {
    std::string host;  // "127.0.0.1", "::1"
    std::uint16_t port = 0;
    bool is_v6() const { return host.find(':') != std::string::npos; }
    std::string text() const;  // "127.0.0.1:9750", "[::1]:9750"
};

// An address of 127.0.0.0/8 and a port, "[::1]:PORT", or "localhost:PORT", which is 127.0.0.1. Else invalid_argument,
// with the rest of a sentence that begins with what it is about.
Outcome<ListenAddress> parse_loopback(std::string_view text);

}  // namespace xsan::daemon
