// A 128-bit unsigned integer for products that must not overflow; a compiler extension, named once here.
#pragma once

namespace xsan {
__extension__ using Uint128 = unsigned __int128;
}  // namespace xsan
