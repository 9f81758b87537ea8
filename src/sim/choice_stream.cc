// Seeded and replayed choices.
#include "sim/choice_stream.h"

#include <algorithm>

#include "base/assert.h"

namespace xsan::sim {

ChoiceStream::ChoiceStream(const ChoiceTrace& trace) : replaying_(true) {
    for (const Choice& c : trace)
        sequence(c.label).replay.push_back(c.value);
}

ChoiceStream::Sequence& ChoiceStream::sequence(ChoiceLabel label) {
    auto& instances = sequences_[static_cast<std::size_t>(label.subsystem)];
    if (instances.size() <= label.instance) instances.resize(label.instance + std::size_t{1});
    Sequence& s = instances[label.instance];
    if (!s.seeded) {
        // Distinct labels start far apart: Rng passes its seed through splitmix64.
        const std::uint64_t name =
            (static_cast<std::uint64_t>(label.subsystem) << 16) | label.instance;
        s.rng = Rng(seed_ * 0x9E3779B97F4A7C15ull + name * 0xD1B54A32D192ED03ull);
        s.seeded = true;
    }
    return s;
}

std::uint32_t ChoiceStream::below(std::uint32_t bound, ChoiceLabel label) {
    XSAN_ASSERT(bound > 0);
    if (bound == 1) return 0;
    Sequence& s = sequence(label);
    std::uint32_t value = 0;
    if (!replaying_) {
        value = static_cast<std::uint32_t>(s.rng.below(bound));
    } else if (s.next < s.replay.size()) {
        value = std::min(s.replay[s.next++], bound - 1);
    }
    if (recording_) trace_.push_back({label, bound, value});
    return value;
}

std::uint64_t ChoiceStream::below_wide(std::uint64_t bound, ChoiceLabel label) {
    XSAN_ASSERT(bound > 0);
    if (bound <= UINT32_MAX) return below(static_cast<std::uint32_t>(bound), label);
    const std::uint64_t high = below(static_cast<std::uint32_t>(((bound - 1) >> 31) + 1), label);
    const std::uint64_t low = below(1u << 31, label);
    return std::min((high << 31) | low, bound - 1);
}

bool ChoiceStream::chance(unsigned percent, ChoiceLabel label) {
    if (percent == 0) return false;
    if (percent >= 100) return true;
    return below(100, label) >= 100 - percent;
}

bool next_trace(ChoiceTrace& trace) {
    while (!trace.empty()) {
        Choice& last = trace.back();
        if (last.value + 1 < last.bound) {
            last.value++;
            return true;
        }
        trace.pop_back();
    }
    return false;
}

}  // namespace xsan::sim
