// Synthetic distributions and recorded writes.
#include "xsanctl/wear/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <sstream>

#include "base/assert.h"
#include "base/rng.h"
#include "base/units.h"

namespace xsan::ctl::wear {
namespace {

struct TraceWrite {
    double time_seconds = 0;
    double offset = 0;
    double length = 0;
};

}  // namespace

Workload::Workload(const CompareOptions& options, std::size_t groups)
    : groups_(groups),
      clusters_(groups * options.clusters_per_group),
      kind_(options.workload),
      theta_(options.theta),
      seed_(options.seed),
      hot_days_(options.hot_days) {
    if (kind_ == WorkloadKind::sequential) small_part_ = 0;
    if (kind_ == WorkloadKind::mixed) small_part_ = 0.5;
    if (kind_ != WorkloadKind::zipf && kind_ != WorkloadKind::mixed) return;
    double sum = 0;
    for (std::size_t rank = 1; rank <= clusters_; rank++) {
        zipf_.push_back(std::pow(static_cast<double>(rank), -theta_));
        sum += zipf_.back();
    }
    for (double& part : zipf_)
        part /= sum;
}

Outcome<Workload> Workload::make(const CompareOptions& options, std::size_t groups) {
    XSAN_ASSERT(groups > 0);
    Workload workload(options, groups);
    if (options.workload == WorkloadKind::trace) {
        XSAN_TRY_VOID(workload.read_trace(options.trace_text));
    }
    return workload;
}

// Lines "SECONDS,OFFSET,LENGTH" of writes, in bytes, in order of time; '#' begins a comment. The
// span of its offsets is laid over the pool's clusters, its time is cut into phases, and it is
// repeated.
Outcome<void> Workload::read_trace(const std::string& text) {
    std::vector<TraceWrite> writes;
    std::istringstream in(text);
    std::string line;
    for (std::size_t number = 1; std::getline(in, line); number++) {
        if (line.empty() || line[0] == '#') continue;
        TraceWrite write;
        char rest = 0;
        const int fields = std::sscanf(line.c_str(), "%lf,%lf,%lf %c", &write.time_seconds,
                                       &write.offset, &write.length, &rest);
        const bool in_order = writes.empty() || write.time_seconds >= writes.back().time_seconds;
        if (fields != 3 || !(write.offset >= 0) || !(write.length > 0) || !in_order ||
            !std::isfinite(write.offset + write.length + write.time_seconds)) {
            return Failure(Errc::invalid_argument,
                           fmt::format("wear compare: line {} of the trace is not "
                                       "SECONDS,OFFSET,LENGTH in order of time",
                                       number));
        }
        writes.push_back(write);
    }
    if (writes.empty()) {
        return Failure(Errc::invalid_argument, "wear compare: the trace has no writes");
    }
    double end = 0;
    for (const TraceWrite& w : writes)
        end = std::max(end, w.offset + w.length);
    const double begin_seconds = writes.front().time_seconds;
    const double phase_seconds = hot_days_ * kDaySeconds;
    for (const TraceWrite& w : writes) {
        const auto phase =
            static_cast<std::size_t>((w.time_seconds - begin_seconds) / phase_seconds);
        if (phase >= 10000) {
            return Failure(Errc::invalid_argument,
                           "wear compare: the trace has more than 10000 phases");
        }
        while (phases_.size() <= phase)
            phases_.emplace_back(groups_);
        const auto cluster =
            std::min(clusters_ - 1,
                     static_cast<std::size_t>(w.offset / end * static_cast<double>(clusters_)));
        phases_[phase][cluster % groups_] += w.length;
    }
    // A phase in which nothing was written is as the one before it.
    for (std::size_t i = 0; i < phases_.size(); i++) {
        const double sum = std::accumulate(phases_[i].begin(), phases_[i].end(), 0.0);
        if (sum <= 0) {
            phases_[i] = phases_[i - 1];
            continue;
        }
        for (double& part : phases_[i])
            part /= sum;
    }
    trace_phases_ = phases_.size();
    return {};
}

// A new order of all clusters by heat: a shuffle of its own for each phase.
std::vector<double> Workload::draw_zipf(std::size_t number) const {
    std::vector<std::uint32_t> clusters(clusters_);
    std::iota(clusters.begin(), clusters.end(), 0u);
    Rng rng(seed_ ^ (number << 32));
    for (std::size_t i = clusters.size(); i > 1; i--) {
        std::swap(clusters[i - 1], clusters[rng.below(i)]);
    }
    std::vector<double> parts(groups_);
    for (std::size_t rank = 0; rank < clusters_; rank++) {
        parts[clusters[rank] % groups_] += zipf_[rank];
    }
    return parts;
}

const std::vector<double>& Workload::phase(std::size_t number) {
    if (kind_ == WorkloadKind::trace) return phases_[number % trace_phases_];
    const double even = 1.0 / static_cast<double>(groups_);
    while (phases_.size() <= number) {
        std::vector<double> parts(groups_, even);
        if (kind_ == WorkloadKind::zipf || kind_ == WorkloadKind::mixed) {
            parts = draw_zipf(phases_.size());
        }
        if (kind_ == WorkloadKind::mixed) {
            for (double& part : parts)
                part = (part + even) / 2;
        }
        phases_.push_back(std::move(parts));
    }
    return phases_[number];
}

}  // namespace xsan::ctl::wear
