// Rules of FaultDevice.
#include "dev/fault_device.h"

#include <mutex>

#include "base/assert.h"
#include "dev/request_check.h"

namespace xsan::dev {

FaultDevice::~FaultDevice() {
    XSAN_ASSERT(held_ == 0);
}

FaultDevice::Verdict FaultDevice::judge(const IoRequest& request) {
    std::scoped_lock guard(lock_);
    if (gone_) {
        struck_++;
        return {Error{Errc::device_gone}, false};
    }
    for (FaultRule& rule : rules_) {
        if ((rule.kinds & FaultRule::bit(request.kind)) == 0 || rule.times == 0) continue;
        if (request.kind != IoKind::flush) {
            const std::uint64_t rule_end =
                rule.length > UINT64_MAX - rule.offset ? UINT64_MAX : rule.offset + rule.length;
            if (request.offset + request.length <= rule.offset || request.offset >= rule_end)
                continue;
        }
        if (rule.skip > 0) {
            rule.skip--;
            continue;
        }
        if (rule.times != UINT64_MAX) rule.times--;
        struck_++;
        return {rule.error, rule.applied};
    }
    return {};
}

// The device acts on a copy of the request, and the caller hears `error`.
void FaultDevice::pass_and_fail(IoRequest& request, Error error) {
    struct Shadow {
        IoRequest copy;
        IoRequest* original;
        Error error;
    };
    auto* shadow = new Shadow{request, &request, error};
    if (request.iov == &request.single) shadow->copy.iov = &shadow->copy.single;
    shadow->copy.owner = shadow;
    shadow->copy.done = [](IoRequest& copy) {
        const std::unique_ptr<Shadow> owned(static_cast<Shadow*>(copy.owner));
        owned->original->complete(owned->error);
    };
    below_->submit(shadow->copy);
}

void FaultDevice::submit(IoRequest& request) {
    {
        std::scoped_lock guard(lock_);
        if (holding_) {
            request.next = nullptr;
            (held_last_ != nullptr ? held_last_->next : held_first_) = &request;
            held_last_ = &request;
            held_++;
            return;
        }
    }
    const Verdict verdict = judge(request);
    if (verdict.error.is_ok()) {
        below_->submit(request);
    } else if (verdict.applied) {
        pass_and_fail(request, verdict.error);
    } else {
        complete_later(request, verdict.error);
    }
}

void FaultDevice::add_rule(const FaultRule& rule) {
    std::scoped_lock guard(lock_);
    rules_.push_back(rule);
}

void FaultDevice::clear_rules() {
    std::scoped_lock guard(lock_);
    rules_.clear();
}

void FaultDevice::set_gone(bool gone) {
    std::scoped_lock guard(lock_);
    gone_ = gone;
}

void FaultDevice::hold() {
    std::scoped_lock guard(lock_);
    holding_ = true;
}

void FaultDevice::release() {
    IoRequest* request = nullptr;
    {
        std::scoped_lock guard(lock_);
        holding_ = false;
        request = std::exchange(held_first_, nullptr);
        held_last_ = nullptr;
        held_ = 0;
    }
    while (request != nullptr) {
        IoRequest* next = std::exchange(request->next, nullptr);
        submit(*request);
        request = next;
    }
}

std::size_t FaultDevice::held() const {
    std::scoped_lock guard(lock_);
    return held_;
}

unsigned FaultDevice::in_flight() const {
    return static_cast<unsigned>(held()) + below_->in_flight();
}

std::uint64_t FaultDevice::struck() const {
    std::scoped_lock guard(lock_);
    return struck_;
}

}  // namespace xsan::dev
