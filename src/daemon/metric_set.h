// MetricSet: metrics being collected into one snapshot, as prometheus-cpp wants them.
//
// Invariants: a family appears once, however many samples it has and whoever adds them; label values are valid UTF-8.
// A plain value: it belongs to whoever collects, and the snapshot to whoever takes it.
#pragma once

#include <prometheus/metric_family.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace xsan::daemon {

using MetricSnapshot = std::vector<prometheus::MetricFamily>;
using MetricLabels = std::vector<prometheus::ClientMetric::Label>;

// What a family is: name and unit by the rules of Prometheus (base units, counters end in _total).
struct Metric {
    std::string_view name;
    prometheus::MetricType type;
    std::string_view help;
};

// What is not known has no sample.
using Known = std::optional<double>;

// A metric and its value, as a T says it.
template <class T>
struct Figure {
    Metric metric;
    Known (*value)(const T& of);
};

class MetricSet {
  public:
    // A sample of a gauge or counter. The labels differ from those of all other samples of the family.
    template <class T>
        requires std::is_arithmetic_v<T>
    void add(const Metric& metric, MetricLabels labels, T value) {
        add_value(metric, std::move(labels), static_cast<double>(value));
    }
    // Of each of `figures` a sample with the same labels.
    template <class Figures, class T>
    void add_all(const Figures& figures, const MetricLabels& labels, const T& of) {
        for (const Figure<T>& figure : figures) {
            if (const Known value = figure.value(of)) add(figure.metric, labels, *value);
        }
    }
    // A sample of a summary without quantiles.
    void add_summary(const Metric& metric, MetricLabels labels, std::uint64_t count, double sum);

    // For each of `states` a sample with the label `state`: 1 for the one that is, 0 for the others.
    template <class States>
    void add_state(const Metric& metric, const MetricLabels& labels, const States& states, std::string_view state) {
        for (const std::string_view one : states) {
            MetricLabels with_state = labels;
            with_state.push_back({"state", std::string(one)});
            add(metric, std::move(with_state), one == state ? 1 : 0);
        }
    }

    MetricSnapshot take() { return std::move(families_); }

  private:
    void add_value(const Metric& metric, MetricLabels labels, double value);
    prometheus::ClientMetric& new_sample(const Metric& metric, MetricLabels labels);

    MetricSnapshot families_;
    std::map<std::string_view, std::size_t> places_;  // of families, by name
};

}  // namespace xsan::daemon
