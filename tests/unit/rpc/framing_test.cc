// Properties of line framing.
#include "rpc/framing.h"

#include <string>
#include <vector>

#include "base/rng.h"
#include "support/catch.h"

using namespace xsan;
using namespace xsan::rpc;
using FrameEvent = LineFramer::Event;

TEST_CASE("lines come out whole however the bytes arrive", "[rpc][framing]") {
    const std::string stream = "one\ntwo\r\n\n\r\nthree\nrest";
    for (std::size_t step = 1; step <= stream.size(); step++) {
        LineFramer framer;
        std::vector<std::string> lines;
        for (std::size_t at = 0; at < stream.size(); at += step) {
            framer.feed(std::string_view(stream).substr(at, step));
            for (auto next = framer.next(); next.event != FrameEvent::none; next = framer.next()) {
                REQUIRE(next.event == FrameEvent::line);
                lines.push_back(next.line);
            }
        }
        CHECK(lines == std::vector<std::string>{"one", "two", "three"});
        CHECK(framer.buffered_bytes() == 4);
    }
}

TEST_CASE("a line of exactly the limit passes and one byte more does not", "[rpc][framing]") {
    LineFramer framer(8);
    framer.feed("12345678\n123456789\nok\n");
    CHECK(framer.next().line == "12345678");
    CHECK(framer.next().event == FrameEvent::too_long);
    CHECK(framer.next().line == "ok");
    CHECK(framer.next().event == FrameEvent::none);
}

TEST_CASE("a line without an end is reported once and takes no memory", "[rpc][framing]") {
    LineFramer framer(1024);
    int reports = 0;
    const std::string block(600, 'x');
    for (int i = 0; i < 1000; i++) {
        framer.feed(block);
        for (auto next = framer.next(); next.event != FrameEvent::none; next = framer.next()) {
            CHECK(next.event == FrameEvent::too_long);
            reports++;
        }
        CHECK(framer.buffered_bytes() <= 1024 + block.size());
    }
    CHECK(reports == 1);
    framer.feed("the end of it\nnext\n");
    CHECK(framer.next().line == "next");
    CHECK(framer.next().event == FrameEvent::none);
}

TEST_CASE("framing agrees with a plain split for random streams", "[rpc][framing]") {
    Rng rng(20261120);
    for (int round = 0; round < 2000; round++) {
        LineFramer framer(16);
        std::string stream;
        std::vector<std::string> expected;
        const auto lines = rng.below(12);
        for (std::uint64_t i = 0; i < lines; i++) {
            const std::string line(rng.below(24), static_cast<char>('a' + i));
            stream += line + "\n";
            if (line.size() > 16) expected.push_back("!");
            if (!line.empty() && line.size() <= 16) expected.push_back(line);
        }
        std::vector<std::string> seen;
        for (std::size_t at = 0; at < stream.size();) {
            const std::size_t step = 1 + rng.below(20);
            framer.feed(std::string_view(stream).substr(at, step));
            at += step;
            for (auto next = framer.next(); next.event != FrameEvent::none; next = framer.next()) {
                seen.push_back(next.event == FrameEvent::line ? next.line : "!");
            }
        }
        CAPTURE(round, stream);
        REQUIRE(seen == expected);
    }
}
