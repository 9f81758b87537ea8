// The form of a snapshot of metrics: names, labels, and the text that Prometheus reads, parsed back; and its values.
#pragma once

#include <prometheus/check_names.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/metric_set.h"
#include "support/catch.h"

namespace xsan::test {

using daemon::MetricLabels;
using daemon::MetricSnapshot;
using prometheus::MetricType;

// A sample in the text form.
struct Line {
    std::string name;
    MetricLabels labels;
    double value = 0;
};

// By the grammar of the text format, without timestamps; nothing where the line is no sample.
inline std::optional<Line> parse_sample(const std::string& text) {
    Line line;
    std::size_t at = text.find_first_of("{ ");
    if (at == std::string::npos) return std::nullopt;
    line.name = text.substr(0, at);
    while (text[at] != ' ' && text[at] != '}') {
        const std::size_t equals = text.find("=\"", ++at);
        if (equals == std::string::npos) return std::nullopt;
        prometheus::ClientMetric::Label label{text.substr(at, equals - at), {}};
        for (at = equals + 2; at < text.size() && text[at] != '"'; at++) {
            if (text[at] != '\\') {
                label.value += text[at];
                continue;
            }
            at++;
            const std::string_view escapable = "\\\"n";
            if (at == text.size() || escapable.find(text[at]) == std::string_view::npos) return std::nullopt;
            label.value += text[at] == 'n' ? '\n' : text[at];
        }
        if (++at >= text.size() || (text[at] != ',' && text[at] != '}')) return std::nullopt;
        line.labels.push_back(std::move(label));
    }
    if (text[at] == '}') at++;
    std::size_t read = 0;
    try {
        line.value = std::stod(text.substr(at), &read);
    } catch (const std::exception&) {
        return std::nullopt;
    }
    if (at + read != text.size()) return std::nullopt;
    return line;
}

inline std::vector<Line> parse_text(const MetricSnapshot& snapshot) {
    std::istringstream text(prometheus::TextSerializer().Serialize(snapshot));
    std::vector<Line> samples;
    std::set<std::string> types;
    for (std::string one; std::getline(text, one);) {
        CAPTURE(one);
        if (one.starts_with("# TYPE ")) CHECK(types.insert(one.substr(7, one.find(' ', 7) - 7)).second);
        if (one.starts_with("# ")) continue;
        const auto line = parse_sample(one);
        REQUIRE(line);
        samples.push_back(*line);
    }
    CHECK(types.size() == snapshot.size());
    return samples;
}

// Names as Prometheus wants them, every family once, and every sample's labels once.
inline void check_form(const MetricSnapshot& snapshot) {
    std::set<std::string> names;
    for (const auto& family : snapshot) {
        CAPTURE(family.name);
        CHECK(prometheus::CheckMetricName(family.name));
        CHECK(family.name.starts_with("xsan_"));
        CHECK(family.name.ends_with("_total") == (family.type == MetricType::Counter));
        CHECK(!family.help.empty());
        CHECK(names.insert(family.name).second);
        std::set<MetricLabels> seen;
        for (const auto& sample : family.metric) {
            CHECK(seen.insert(sample.label).second);
            std::set<std::string> label_names;
            for (const auto& label : sample.label) {
                CHECK(prometheus::CheckLabelName(label.name));
                CHECK(label_names.insert(label.name).second);
            }
        }
    }
    parse_text(snapshot);
}

// Of the one sample of that name with these labels, among others; nothing where there is not exactly one.
inline std::optional<double> value_of(const MetricSnapshot& snapshot, std::string_view name,
                                      const MetricLabels& labels) {
    std::optional<double> found;
    for (const auto& family : snapshot) {
        if (family.name != name) continue;
        for (const auto& sample : family.metric) {
            const bool fits = std::all_of(labels.begin(), labels.end(), [&](const auto& wanted) {
                return std::find(sample.label.begin(), sample.label.end(), wanted) != sample.label.end();
            });
            if (!fits) continue;
            if (found) return std::nullopt;
            found = family.type == MetricType::Counter ? sample.counter.value : sample.gauge.value;
        }
    }
    return found;
}

inline double sum_of(const MetricSnapshot& snapshot, std::string_view name) {
    double sum = 0;
    for (const auto& family : snapshot) {
        if (family.name != name) continue;
        for (const auto& sample : family.metric) sum += sample.counter.value + sample.gauge.value;
    }
    return sum;
}

inline bool has(const MetricSnapshot& snapshot, std::string_view name) {
    return std::any_of(snapshot.begin(), snapshot.end(), [&](const auto& family) { return family.name == name; });
}

}  // namespace xsan::test
