// Where xsand's log lines go: the journal under systemd, else stderr, or as the configuration says.
#pragma once

#include <memory>

#include "base/log.h"
#include "base/result.h"
#include "daemon/config.h"

namespace xsan {

// The sink must live until set_log_sink(nullptr).
Outcome<std::unique_ptr<LogSink>> make_log_sink(const daemon::Config::Log& config);

}  // namespace xsan
