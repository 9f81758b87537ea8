// A megabyte of zeros to write from, shared by all devices and never written to.
#pragma once

#include <cstddef>
#include <span>

namespace xsan::dev {
std::span<const std::byte> zero_buffer();
}  // namespace xsan::dev
