// The shared zeros; in .bss, so that they cost neither file size nor memory.
#include "dev/zero_buffer.h"

namespace xsan::dev {
namespace {
alignas(4096) std::byte g_zeros[std::size_t{1} << 20];
}  // namespace

std::span<const std::byte> zero_buffer() {
    return g_zeros;
}

}  // namespace xsan::dev
