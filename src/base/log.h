// The event and log interface: layers say what happened, the main program decides where it goes.
// A line is logged once, where the decision is taken. Until a sink is set, lines go nowhere, which is
// what unit tests want.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace xsan {

enum class LogLevel : int { debug, info, warning, error };

class LogSink {
  public:
    virtual ~LogSink() = default;
    virtual bool wants(LogLevel level) const = 0;
    virtual void write(LogLevel level, std::string_view line) = 0;  // called from any thread
};

// Set once, before the first reactor starts; nullptr silences again. The sink must outlive its use.
void set_log_sink(LogSink* sink);
LogSink* log_sink();

template <class... Args>
void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
    LogSink* sink = log_sink();
    if (sink != nullptr && sink->wants(level)) {
        sink->write(level, fmt::format(format, std::forward<Args>(args)...));
    }
}

}  // namespace xsan
