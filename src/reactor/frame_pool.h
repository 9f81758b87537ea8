// Memory for coroutine frames: freed frames are kept per thread in lists by size, so that a request on the
// data path takes its frames from where the last one left them instead of from malloc.
// A frame is freed on the thread that allocated it (a task begins and ends on its home reactor).
#pragma once

#include <cstddef>

namespace xsan {

void* allocate_frame(std::size_t bytes);
void free_frame(void* frame, std::size_t bytes) noexcept;

}  // namespace xsan
