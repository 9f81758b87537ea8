// Line framing with a limit.
#include "rpc/framing.h"

#include <algorithm>

namespace xsan::rpc {

void LineFramer::feed(std::string_view bytes) {
    if (begin_ == buffer_.size()) {
        buffer_.clear();
        begin_ = scanned_ = 0;
    } else if (begin_ > line_bytes_max_) {
        buffer_.erase(0, begin_);
        scanned_ -= begin_;
        begin_ = 0;
    }
    buffer_.append(bytes);
}

void LineFramer::consume(std::size_t end) {
    begin_ = end;
    scanned_ = end;
}

LineFramer::Next LineFramer::next() {
    for (;;) {
        const std::size_t newline = buffer_.find('\n', scanned_);
        if (newline == std::string::npos) {
            scanned_ = buffer_.size();
            if (skipping_) {
                consume(buffer_.size());
                return {};
            }
            if (buffer_.size() - begin_ <= line_bytes_max_) return {};
            skipping_ = true;
            consume(buffer_.size());
            return {Event::too_long, {}};
        }
        std::size_t bytes = newline - begin_;
        const std::size_t start = begin_;
        consume(newline + 1);
        if (skipping_) {
            skipping_ = false;
            continue;
        }
        if (bytes > line_bytes_max_) return {Event::too_long, {}};
        if (bytes > 0 && buffer_[start + bytes - 1] == '\r') bytes--;
        if (bytes == 0) continue;
        return {Event::line, buffer_.substr(start, bytes)};
    }
}

}  // namespace xsan::rpc
