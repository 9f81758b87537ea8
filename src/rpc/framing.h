// Framing of the control protocol: one JSON object per line.
// LineFramer turns a stream of bytes into lines and knows nothing of sockets or JSON.
//
// Invariant: it never holds more than the limit plus what one feed() brought. A line beyond the
// limit is reported once, as soon as that is certain, and the rest of it is skipped up to its
// newline.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace xsan::rpc {

inline constexpr std::size_t kRequestBytesMax = std::size_t{1} << 20;

class LineFramer {
  public:
    enum class Event {
        none,      // nothing complete yet: feed more
        line,      // `line` holds one line, without its newline and a carriage return before it
        too_long,  // a line passed the limit; it is being skipped
    };
    struct Next {
        Event event = Event::none;
        std::string line;
    };

    explicit LineFramer(std::size_t line_bytes_max = kRequestBytesMax)
        : line_bytes_max_(line_bytes_max) {}

    void feed(std::string_view bytes);
    // Call until it says none. Empty lines are passed over.
    Next next();

    std::size_t buffered_bytes() const { return buffer_.size() - begin_; }

  private:
    void consume(std::size_t end);

    std::size_t line_bytes_max_;
    std::string buffer_;
    std::size_t begin_ = 0;    // start of what has not been handed out
    std::size_t scanned_ = 0;  // no newline lies in [begin_, scanned_)
    bool skipping_ = false;
};

}  // namespace xsan::rpc
