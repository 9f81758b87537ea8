// MetricsExposer: serves the newest snapshot of metrics over HTTP, as http://ADDRESS/metrics.
//
// Threads: the HTTP library has its own, which inherit the signals blocked by their maker and see nothing of xsand but
// the snapshot, handed over under a mutex. publish() is called on the control reactor and waits for no scrape: the
// mutex is held for as long as a pointer takes. open(), close() and the destructor are the main program's; close()
// takes up to two seconds, in which a scrape that runs is finished, and publish() may be called on.
#pragma once

#include <memory>

#include "base/result.h"
#include "daemon/listen_address.h"
#include "daemon/metric_set.h"

namespace prometheus {
class Exposer;
}

namespace xsan {

class MetricsExposer {
  public:
    // busy: another program has the address; other errors: it cannot be had. One line that names it.
    static Outcome<std::unique_ptr<MetricsExposer>> open(const daemon::ListenAddress& address);
    ~MetricsExposer();

    void publish(daemon::MetricSnapshot snapshot);
    // Nobody is answered any more.
    void close();

  private:
    class Source;
    MetricsExposer();

    std::shared_ptr<Source> source_;
    std::unique_ptr<prometheus::Exposer> http_;
};

}  // namespace xsan
