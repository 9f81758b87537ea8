// See listen_address.h.
#include "daemon/listen_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "base/text.h"

namespace xsan::daemon {
namespace {

constexpr std::string_view kWanted = "must be \"127.0.0.1:PORT\", \"[::1]:PORT\" or \"localhost:PORT\"";

std::optional<std::uint16_t> read_port(std::string_view digits) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size() || port == 0) return std::nullopt;
    return port;
}

// As inet_ntop() writes it; nothing where it is no loopback address.
std::optional<std::string> read_host(std::string_view host) {
    if (host == "localhost") return "127.0.0.1";
    char text[INET6_ADDRSTRLEN];
    in_addr v4{};
    if (::inet_pton(AF_INET, std::string(host).c_str(), &v4) == 1) {
        if (ntohl(v4.s_addr) >> 24 != 127) return std::nullopt;
        return ::inet_ntop(AF_INET, &v4, text, sizeof(text));
    }
    if (host.size() < 2 || host.front() != '[' || host.back() != ']') return std::nullopt;
    in6_addr v6{};
    const std::string inner(host.substr(1, host.size() - 2));
    if (::inet_pton(AF_INET6, inner.c_str(), &v6) != 1 || !IN6_IS_ADDR_LOOPBACK(&v6)) return std::nullopt;
    return "::1";
}

}  // namespace

std::string ListenAddress::text() const {
    return is_v6() ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Outcome<ListenAddress> parse_loopback(std::string_view text) {
    const auto refuse = [text](std::string_view why) {
        return Failure(Errc::invalid_argument, fmt::format("'{}' {}", quotable(text), why));
    };
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0) return refuse(kWanted);
    const std::string_view host = text.substr(0, colon);
    if (host.find('\0') != std::string_view::npos) return refuse(kWanted);
    const auto address = read_host(host);
    if (!address) {
        return refuse(fmt::format("is not an address of this machine alone: {}", kWanted));
    }
    const auto port = read_port(text.substr(colon + 1));
    if (!port) return refuse("has no port of 1 to 65535");
    return ListenAddress{*address, *port};
}

}  // namespace xsan::daemon
