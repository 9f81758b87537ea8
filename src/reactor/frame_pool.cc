// Per-thread free lists of coroutine frames. Under AddressSanitizer frames come from malloc, so that a use
// after free is seen.
#include "reactor/frame_pool.h"

#include <array>
#include <cstdlib>
#include <new>

namespace xsan {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer)  // Clang's word; GCC defines the macro below
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kPooled = false;
#else
constexpr bool kPooled = true;
#endif

constexpr std::size_t kStep = 128;
constexpr std::size_t kClasses = 36;  // frames up to 4.5 KiB; larger ones are rare and go to malloc
constexpr std::size_t kKeepPerClass = 4096;

struct FreeFrame {
    FreeFrame* next;
};

struct FreeLists {
    std::array<FreeFrame*, kClasses> head{};
    std::array<std::size_t, kClasses> count{};
    ~FreeLists() {
        for (FreeFrame* frame : head) {
            while (frame != nullptr) {
                FreeFrame* next = frame->next;
                std::free(frame);
                frame = next;
            }
        }
    }
};

thread_local FreeLists t_lists;

std::size_t class_of(std::size_t bytes) { return (bytes + kStep - 1) / kStep - 1; }

}  // namespace

void* allocate_frame(std::size_t bytes) {
    const std::size_t size_class = class_of(bytes);
    if (kPooled && size_class < kClasses) {
        FreeLists& lists = t_lists;
        if (FreeFrame* frame = lists.head[size_class]; frame != nullptr) {
            lists.head[size_class] = frame->next;
            lists.count[size_class]--;
            return frame;
        }
        bytes = (size_class + 1) * kStep;
    }
    void* memory = std::malloc(bytes);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

void free_frame(void* memory, std::size_t bytes) noexcept {
    const std::size_t size_class = class_of(bytes);
    if (kPooled && size_class < kClasses && t_lists.count[size_class] < kKeepPerClass) {
        auto* frame = static_cast<FreeFrame*>(memory);
        frame->next = t_lists.head[size_class];
        t_lists.head[size_class] = frame;
        t_lists.count[size_class]++;
        return;
    }
    std::free(memory);
}

}  // namespace xsan
