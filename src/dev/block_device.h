// BlockDevice: the one block interface, at both ends. A member (drive, file, memory, simulated drive) is
// one, and so is a volume; ublk exports any of them and the engine stripes over any of them.
//
// Contract:
//  - submit() is called on a reactor's thread; `done` is called on that same reactor, from its loop, never
//    inside submit(). Exactly once per submit.
//  - The request and its buffers belong to the caller, and must stay until `done`.
//  - Offsets, lengths and buffers are multiples of logical_block_bytes; reads and writes do not pass the end.
//  - A write is durable when it completed with `fua`, or when a flush that was *submitted after its
//    completion* has completed.
//  - A short transfer is an error. What a vanished drive answers (end of file, ENOSPC, ENODEV) is
//    Errc::device_gone.
#pragma once

#include <sys/uio.h>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/result.h"
#include "reactor/reactor.h"
#include "reactor/task.h"

namespace xsan::dev {

enum class IoKind : std::uint8_t { read, write, flush, write_zeroes, discard };

struct IoRequest {
    IoKind kind = IoKind::read;
    // Write and write_zeroes: durable at completion.
    bool fua = false;
    // Write: nobody but the device touches the buffer until `done`; what is encoded is what is written.
    // Where false, a device that reads the data twice must copy it first.
    bool stable_buffer = false;
    // This request may be a repetition of one whose first try was in flight when a process died.
    bool reissued = false;
    // Write_zeroes: space that the blocks have is to stay theirs; a thin device does not take it back.
    bool keep_space = false;
    std::uint64_t offset = 0;  // bytes
    std::uint64_t length = 0;  // bytes; 0 for flush
    const iovec* iov = nullptr;
    std::uint32_t iov_count = 0;
    iovec single{};  // storage for the common case of one buffer; iov points here then

    Error error;  // set before `done`; Errc::ok is success
    void (*done)(IoRequest& request) = nullptr;
    void* owner = nullptr;           // the submitter's
    IoRequest* next = nullptr;       // the device's while it holds the request
    std::uint64_t device_word = 0;   // the device's while it holds the request

    void set_buffer(void* data, std::uint64_t bytes) {
        single = {data, static_cast<std::size_t>(bytes)};
        iov = &single;
        iov_count = 1;
        length = bytes;
    }
    void complete(Error e) {
        error = e;
        done(*this);
    }
};

// What a device is, for people and for matching the same drive under two names.
struct DeviceIdentity {
    std::string kind;      // "nvme" (passthrough), "block", "file", "mem", "null", "sim", "volume"
    std::string path;      // as opened, absolute
    std::string model;     // empty where unknown
    std::string serial;    //
    std::string firmware;  //
    std::string unique_id; // equal for two names of one device: namespace id, device number, inode
    std::string transport; // "pcie", "tcp", ...
};

struct DeviceLimits {
    std::uint64_t size_bytes = 0;
    std::uint32_t logical_block_bytes = 512;
    std::uint32_t physical_block_bytes = 512;
    std::uint32_t atomic_write_bytes = 512;  // written wholly or not at all at a power cut; at least a block
    std::uint64_t transfer_bytes_max = 1u << 20;
    std::uint32_t buffer_alignment = 512;    // of memory addresses
    std::uint32_t iov_count_max = 128;       // pieces of one request
    bool volatile_cache = false;             // completed writes need a flush or FUA to survive a power cut
    bool discard = false;                    // offers discard at all
    bool discard_zeroes = false;             // reads after discard return zeros, as the drive promises
    std::uint32_t discard_granularity_bytes = 0;
};

class IoAwaiter;

class BlockDevice {
  public:
    BlockDevice() = default;
    BlockDevice(const BlockDevice&) = delete;
    BlockDevice& operator=(const BlockDevice&) = delete;
    virtual ~BlockDevice() = default;

    virtual const DeviceIdentity& identity() const = 0;
    virtual const DeviceLimits& limits() const = 0;
    virtual void submit(IoRequest& request) = 0;

    // Requests submitted and not completed, on all reactors; of a request that was cut, its pieces under way. For
    // judging load, not for deciding that a device is idle: the sum is taken while the reactors go on. From any
    // thread. 0 for devices that never wait for anything.
    virtual unsigned in_flight() const { return 0; }

    // Gives back what the device holds on each reactor's ring (registered files, and with them the claim on
    // the drive). On any reactor, once, after the last request has completed and while all reactors still
    // run; no submit() after it. A device destroyed without it keeps its claim until the rings are gone.
    virtual Task<void> close() { co_return; }

    // co_await device.read(offset, buffer) and so on; each gives Result<void>.
    IoAwaiter read(std::uint64_t offset, std::span<std::byte> buffer);
    IoAwaiter write(std::uint64_t offset, std::span<const std::byte> buffer, bool fua = false);
    IoAwaiter flush();
    IoAwaiter write_zeroes(std::uint64_t offset, std::uint64_t length, bool fua = false);
    IoAwaiter discard(std::uint64_t offset, std::uint64_t length);
};

// Awaits one request; lives in the awaiting coroutine's frame.
class IoAwaiter {
  public:
    IoAwaiter(BlockDevice& device, IoKind kind, std::uint64_t offset) : device_(device) {
        request_.kind = kind;
        request_.offset = offset;
    }
    IoRequest& request() { return request_; }

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
        // Set here, not at construction: the awaiter must not move once its address is known.
        if (request_.iov_count == 1) request_.iov = &request_.single;
        request_.owner = handle.address();
        request_.done = [](IoRequest& r) { std::coroutine_handle<>::from_address(r.owner).resume(); };
        device_.submit(request_);
    }
    Result<void> await_resume() const noexcept { return request_.error; }

  private:
    BlockDevice& device_;
    IoRequest request_;
};

inline IoAwaiter BlockDevice::read(std::uint64_t offset, std::span<std::byte> buffer) {
    IoAwaiter awaiter(*this, IoKind::read, offset);
    awaiter.request().set_buffer(buffer.data(), buffer.size());
    return awaiter;
}
inline IoAwaiter BlockDevice::write(std::uint64_t offset, std::span<const std::byte> buffer, bool fua) {
    IoAwaiter awaiter(*this, IoKind::write, offset);
    awaiter.request().set_buffer(const_cast<std::byte*>(buffer.data()), buffer.size());
    awaiter.request().fua = fua;
    return awaiter;
}
inline IoAwaiter BlockDevice::flush() { return IoAwaiter(*this, IoKind::flush, 0); }
inline IoAwaiter BlockDevice::write_zeroes(std::uint64_t offset, std::uint64_t length, bool fua) {
    IoAwaiter awaiter(*this, IoKind::write_zeroes, offset);
    awaiter.request().length = length;
    awaiter.request().fua = fua;
    return awaiter;
}
inline IoAwaiter BlockDevice::discard(std::uint64_t offset, std::uint64_t length) {
    IoAwaiter awaiter(*this, IoKind::discard, offset);
    awaiter.request().length = length;
    return awaiter;
}

// Several requests submitted together and awaited once: co_await batch.wait().
// The batch and its requests belong to the awaiting coroutine's frame or to storage that outlives it.
class IoBatch {
  public:
    // Sets `request` up to count down this batch; submit it at once or later, but before wait() is awaited.
    void submit(BlockDevice& device, IoRequest& request) {
        pending_++;
        request.owner = this;
        request.done = [](IoRequest& r) { static_cast<IoBatch*>(r.owner)->one_done(); };
        device.submit(request);
    }
    auto wait() {
        struct Awaiter {
            IoBatch& batch;
            bool await_ready() const noexcept { return batch.pending_ == 0; }
            void await_suspend(std::coroutine_handle<> h) { batch.waiter_ = h; }
            void await_resume() const noexcept {}
        };
        return Awaiter{*this};
    }

  private:
    void one_done() {
        if (--pending_ == 0 && waiter_) std::exchange(waiter_, {}).resume();
    }
    std::uint32_t pending_ = 0;
    std::coroutine_handle<> waiter_;
};

}  // namespace xsan::dev
