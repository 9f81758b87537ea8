// The one table of methods: name, role and parameters. The daemon checks requests against it,
// xsanctl checks its own before it sends them, and a test compares docs/rpc.md with it. To add a
// method: a row here, a handler in src/daemon, a section in docs/rpc.md.
#pragma once

#include <span>
#include <string_view>

#include "rpc/schema.h"

namespace xsan::rpc {

std::span<const MethodSpec> methods();

// nullptr when there is no such method.
const MethodSpec* find_method(std::string_view name);

}  // namespace xsan::rpc
