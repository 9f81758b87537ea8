// RingFile: an open file registered with one reactor's ring. Operations on it name the ring's slot
// instead of the descriptor, which spares a reference count that all threads share; and the file
// stays open until the ring's last request has ended, even after the death of the process.
#pragma once

#include "reactor/cross.h"
#include "reactor/uring_reactor.h"

namespace xsan::dev {

class RingFile {
  public:
    // On the reactor's thread. Without a free slot the descriptor itself is used.
    RingFile(UringReactor& reactor, int fd) : reactor_(reactor), fd_(fd) {
        const auto slot = reactor.register_file(fd);
        if (slot.has_value()) slot_ = static_cast<int>(*slot);
    }
    RingFile(const RingFile&) = delete;
    RingFile& operator=(const RingFile&) = delete;
    // Without release() the ring keeps the file.

    bool registered() const { return slot_ >= 0; }
    void aim(io_uring_sqe& sqe) const {
        if (slot_ >= 0) {
            sqe.fd = slot_;
            sqe.flags |= IOSQE_FIXED_FILE;
        } else {
            sqe.fd = fd_;
        }
    }

    // Gives the slot back, from any reactor; no operation on the file may follow.
    Task<void> release() {
        auto on_own_thread = [this] { return release_here(); };
        co_await call_on(static_cast<Reactor&>(reactor_), on_own_thread);
    }

  private:
    Task<void> release_here() {
        if (slot_ >= 0) reactor_.unregister_file(static_cast<unsigned>(slot_));
        slot_ = -1;
        co_return;
    }

    UringReactor& reactor_;
    int fd_;
    int slot_ = -1;
};

}  // namespace xsan::dev
