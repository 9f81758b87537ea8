// Holds the process's one log sink.
#include "base/log.h"

#include <atomic>

namespace xsan {
namespace {
std::atomic<LogSink*> g_sink{nullptr};
}  // namespace

void set_log_sink(LogSink* sink) { g_sink.store(sink, std::memory_order_release); }
LogSink* log_sink() { return g_sink.load(std::memory_order_acquire); }

}  // namespace xsan
