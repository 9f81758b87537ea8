// Socket calls as awaitables on the current UringReactor:  int n = co_await recv_some(fd, buffer,
// bytes); The value is the kernel's: bytes or a descriptor, or a negative errno. The buffer is the
// kernel's until the await returns.
#pragma once

#include <liburing.h>
#include <sys/socket.h>

#include <coroutine>
#include <cstddef>

#include "reactor/uring_reactor.h"

namespace xsan::rpc {

class SocketOp {
  public:
    enum class Kind { accept, recv, send };

    SocketOp(Kind kind, int fd, const char* data, std::size_t bytes)
        : kind_(kind), fd_(fd), data_(data), bytes_(bytes) {}
    SocketOp(const SocketOp&) = delete;
    SocketOp& operator=(const SocketOp&) = delete;

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
        handle_ = handle;
        op_.owner = this;
        op_.done = [](UringOp& op, UringResult result) {
            auto& self = *static_cast<SocketOp*>(op.owner);
            self.value_ = result.value;
            Reactor::current().make_ready(self.handle_);
        };
        // The fields are set here, not by liburing's helpers: those may touch user_data.
        io_uring_sqe* sqe = UringReactor::current().prepare(op_);
        sqe->fd = fd_;
        sqe->addr = reinterpret_cast<std::uintptr_t>(data_);
        sqe->len = static_cast<std::uint32_t>(bytes_);
        switch (kind_) {
            case Kind::accept:
                sqe->opcode = IORING_OP_ACCEPT;
                sqe->accept_flags = SOCK_CLOEXEC;
                break;
            case Kind::recv: sqe->opcode = IORING_OP_RECV; break;
            case Kind::send:
                sqe->opcode = IORING_OP_SEND;
                sqe->msg_flags = MSG_NOSIGNAL;
                break;
        }
    }
    int await_resume() const noexcept { return value_; }

    // Makes a pending operation end with -ECANCELED.
    void cancel() { UringReactor::current().cancel_op(op_); }

  private:
    Kind kind_;
    int fd_;
    const char* data_;
    std::size_t bytes_;
    int value_ = 0;
    UringOp op_;
    std::coroutine_handle<> handle_;
};

}  // namespace xsan::rpc
