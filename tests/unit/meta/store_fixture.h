// A pool of crash devices, to be created, cut and assembled again.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "meta/store.h"
#include "support/crash_device.h"
#include "support/test_reactor.h"
#include "unit/meta/random_records.h"

namespace xsan::test {

// Keeps the last lines that were logged, for the message of a test that fails.
class LastLines final : public LogSink {
  public:
    LastLines() { set_log_sink(this); }
    ~LastLines() override { set_log_sink(nullptr); }
    bool wants(LogLevel) const override { return true; }
    void write(LogLevel, std::string_view line) override {
        text_ += "\n  " + std::string(line);
        if (text_.size() > 2000) text_.erase(0, text_.size() - 1500);
    }
    const std::string& text() const { return text_; }

  private:
    std::string text_;
};

class StoreFixture {
  public:
    explicit StoreFixture(unsigned members, std::uint64_t seed = 1,
                          std::uint64_t log_bytes = 64 * kKiB)
        : layout(small_layout(log_bytes)), reactor(0, seed), rng(seed) {
        images.resize(members);
        power_up();
    }
    ~StoreFixture() { power_down(); }

    // New devices over the images, with the power on. Optionally only those of a subset.
    void power_up() {
        power = std::make_unique<PowerSupply>(rng.next());
        devices.clear();
        for (std::size_t i = 0; i < images.size(); i++) {
            CrashDevice::Options options;
            options.path = "dev" + std::to_string(i);
            devices.push_back(std::make_unique<CrashDevice>(*power, options, images[i]));
            devices.back()->delay_percent = [this](const dev::IoRequest& r) {
                return r.offset < layout.log_offset() ? slow_percent : 0;
            };
        }
    }
    // Stops the store without a mark; the images are what reads see.
    void power_down() {
        close();
        for (std::size_t i = 0; i < images.size(); i++)
            images[i] = devices[i]->image();
    }
    // The power goes: everything in flight or cached may be lost.
    void crash() {
        power->cut();
        reactor.run_until_idle();
        close();
        for (std::size_t i = 0; i < images.size(); i++)
            images[i] = devices[i]->survivors(rng);
    }
    void close() {
        if (!store) return;
        reactor.run(store->close());
        store.reset();
    }

    Outcome<void> create() {
        std::vector<meta::Store::NewMember> members;
        for (std::size_t i = 0; i < devices.size(); i++) {
            members.push_back({MemberIndex{static_cast<std::uint16_t>(i)}, devices[i].get()});
        }
        auto records = initial_records(static_cast<unsigned>(devices.size()), layout);
        auto made =
            reactor.run(meta::Store::create(std::move(records), std::move(members), uuid_of(2)));
        if (!made) return made.error();
        store = std::move(*made);
        return {};
    }

    Outcome<meta::Examined> examine(unsigned index) {
        return reactor.run(meta::examine(*devices[index]));
    }

    // Assembles from the devices of `mask`.
    Outcome<void> assemble(unsigned mask = ~0u, bool accept_missing = false) {
        std::vector<meta::Examined> found;
        for (unsigned i = 0; i < devices.size(); i++) {
            if ((mask >> i & 1) == 0) continue;
            auto examined = examine(i);
            if (!examined) return examined.error();
            found.push_back(std::move(*examined));
        }
        meta::Store::Assembly how;
        how.accept_missing = accept_missing;
        how.random = rng.next();
        auto made = reactor.run(meta::Store::assemble(std::move(found), how));
        if (!made) return made.error();
        store = std::move(*made);
        return {};
    }

    Result<void> commit(std::vector<meta::Record> records) {
        return reactor.run(store->commit(std::move(records)));
    }

    LastLines log_lines;
    unsigned slow_percent = 0;  // how often checkpoint and superblock I/O is overtaken
    meta::MemberLayout layout;
    TestReactor reactor;
    Rng rng;
    std::unique_ptr<PowerSupply> power;
    std::vector<DiskImage> images;
    std::vector<std::unique_ptr<CrashDevice>> devices;
    std::unique_ptr<meta::Store> store;
};

}  // namespace xsan::test
