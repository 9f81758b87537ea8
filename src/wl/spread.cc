// Mean, deviation and range.
#include "wl/spread.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace xsan::wl {

Spread spread_of(std::span<const double> wear) {
    Spread spread;
    if (wear.empty()) return spread;
    const double n = static_cast<double>(wear.size());
    for (const double w : wear)
        spread.mean += w / n;
    for (const double w : wear)
        spread.deviation += (w - spread.mean) * (w - spread.mean) / n;
    spread.deviation = std::sqrt(spread.deviation);
    spread.cv = spread.mean > 0 ? spread.deviation / spread.mean : 0;
    spread.low = *std::min_element(wear.begin(), wear.end());
    spread.high = *std::max_element(wear.begin(), wear.end());
    if (spread.low > 0) {
        spread.ratio = spread.high / spread.low;
    } else if (spread.high > 0) {
        spread.ratio = std::numeric_limits<double>::infinity();
    }
    return spread;
}

}  // namespace xsan::wl
