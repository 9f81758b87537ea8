// See metric_set.h.
#include "daemon/metric_set.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/assert.h"

namespace xsan::daemon {
namespace {

// Paths and serials come from drives and file systems, where any byte may stand; the text format is UTF-8.
void make_valid(std::string& text) {
    const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    if (std::all_of(text.begin(), text.end(), is_ascii)) return;
    using Json = nlohmann::json;
    text = Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace)).get<std::string>();
}

}  // namespace

prometheus::ClientMetric& MetricSet::new_sample(const Metric& metric, MetricLabels labels) {
    const auto [place, is_new] = places_.try_emplace(metric.name, families_.size());
    if (is_new) {
        families_.push_back({std::string(metric.name), std::string(metric.help), metric.type, {}});
    }
    for (auto& label : labels) make_valid(label.value);
    auto& sample = families_[place->second].metric.emplace_back();
    sample.label = std::move(labels);
    return sample;
}

void MetricSet::add_value(const Metric& metric, MetricLabels labels, double value) {
    auto& sample = new_sample(metric, std::move(labels));
    if (metric.type == prometheus::MetricType::Counter) {
        sample.counter.value = value;
    } else {
        XSAN_ASSERT(metric.type == prometheus::MetricType::Gauge);
        sample.gauge.value = value;
    }
}

void MetricSet::add_summary(const Metric& metric, MetricLabels labels, std::uint64_t count, double sum) {
    XSAN_ASSERT(metric.type == prometheus::MetricType::Summary);
    auto& sample = new_sample(metric, std::move(labels));
    sample.summary.sample_count = count;
    sample.summary.sample_sum = sum;
}

}  // namespace xsan::daemon
