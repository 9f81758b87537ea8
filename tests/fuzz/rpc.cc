// Fuzz target: the control protocol from a connection's bytes to the answer.
//
// The first byte says how the rest arrives (how many bytes at a time, how long a line may be), the
// second who calls. Framing must agree with a plain split into lines; every answer is one line of
// JSON; a handler can read each parameter that the table declares.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "fuzz/input.h"
#include "rpc/dispatcher.h"
#include "rpc/framing.h"
#include "rpc/json_guard.h"
#include "rpc/methods.h"
#include "rpc/params.h"

using namespace xsan;
using namespace xsan::fuzz;
using namespace xsan::rpc;
using nlohmann::json;

namespace {

constexpr std::size_t kLineBytesMaxes[] = {kRequestBytesMax, 4096, 200, 16};

const MethodSpec* g_method = nullptr;  // whose handler is to run

// Reads every parameter as handlers do: what the table promises is asserted in there.
Task<Outcome<json>> read_params(Caller, json object) {
    const Params params(object);
    std::size_t items = 0;
    for (const ParamSpec& spec : g_method->params) {
        if (spec.required || !spec.fallback.empty()) XSAN_ASSERT(params.has(spec.name));
        if (!params.has(spec.name)) {
            XSAN_ASSERT(!params.maybe_text(spec.name) && !params.maybe_size(spec.name));
            continue;
        }
        switch (spec.type) {
            case ParamType::name:
                items += *params.maybe_text(spec.name) != "" ? 1 : 0;
                break;
            case ParamType::text:
                items += params.text(spec.name).size();
                break;
            case ParamType::integer:
                items += *params.maybe_size(spec.name) != 0 ? 1 : 0;
                break;
            case ParamType::boolean:
                items += params.flag(spec.name) ? 1 : 0;
                break;
            case ParamType::texts:
                items += params.texts(spec.name).size();
                break;
        }
    }
    if (items % 7 == 6) co_return Failure(Errc::busy, "seven less one");
    co_return object;
}

Dispatcher& dispatcher() {
    static Dispatcher instance;
    static const bool is_ready = [] {
        for (const auto& method : methods()) {
            if (method.name != "version") instance.handle(method.name, read_params);
        }
        return true;
    }();
    (void)is_ready;
    return instance;
}

// The answer to one line, checked for its form.
void dispatch(const Caller& caller, const std::string& line) {
    const auto request = parse_request(line);
    g_method = request ? find_method(request->method) : nullptr;
    auto task = dispatcher().dispatch(caller, line);
    task.start();
    XSAN_ASSERT(task.finished());
    const std::string reply = task.take();
    if (reply.empty()) return XSAN_ASSERT(request.has_value() && request->notification);
    XSAN_ASSERT(reply.find('\n') == reply.size() - 1);
    const auto parsed = parse_json(std::string_view(reply).substr(0, reply.size() - 1));
    XSAN_ASSERT(parsed && parsed->at("jsonrpc") == "2.0");
    XSAN_ASSERT(parsed->contains("result") != parsed->contains("error"));
    XSAN_ASSERT(parsed->at("id") == (request ? request->id : request.error().id));
    if (parsed->contains("error")) {
        const json& error = parsed->at("error");
        const auto& message = error.at("message").get_ref<const std::string&>();
        XSAN_ASSERT(!message.empty() && message.find('\n') == std::string::npos);
        XSAN_ASSERT(!error.at("data").at("code").get_ref<const std::string&>().empty());
    }
    if (!request) return;
    XSAN_ASSERT(!parsed->contains("result") || caller.role >= g_method->role);
    // What was understood says the same when it is written anew. That takes as long as all the
    // rest, so it is looked at for a quarter of the lines.
    if (line.size() % 4 != 0) return;
    const auto again = parse_request(request_line(1, request->method, request->params));
    XSAN_ASSERT(again && again->method == request->method && again->params == request->params);
}

// Lines as the framer should find them; nullopt stands for one that is too long.
std::vector<std::optional<std::string>> split(std::string_view text, std::size_t bytes_max) {
    std::vector<std::optional<std::string>> lines;
    while (true) {
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        if (line.size() > bytes_max) {
            lines.emplace_back(std::nullopt);
        } else if (end != std::string_view::npos) {
            if (line.ends_with('\r')) line.remove_suffix(1);
            if (!line.empty()) lines.emplace_back(std::string(line));
        }
        if (end == std::string_view::npos) return lines;
        text.remove_prefix(end + 1);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input in(data, size);
    const std::uint8_t how = in.u8();
    const Caller caller{static_cast<Role>(2 - in.u8() % 3), 1000, 1};
    const auto rest = in.rest();
    const std::string_view text(reinterpret_cast<const char*>(rest.data()), rest.size());
    const std::size_t line_max = kLineBytesMaxes[how % 4];
    const std::size_t chunk = how / 4 == 0 ? text.size() + 1 : how / 4u;

    const auto expected = split(text, line_max);
    std::size_t found = 0;
    LineFramer framer(line_max);
    for (std::size_t at = 0; at < text.size(); at += chunk) {
        framer.feed(text.substr(at, chunk));
        for (auto next = framer.next(); next.event != LineFramer::Event::none;
             next = framer.next()) {
            XSAN_ASSERT(found < expected.size());
            const bool is_line = next.event == LineFramer::Event::line;
            XSAN_ASSERT(is_line == expected[found].has_value());
            XSAN_ASSERT(!is_line || next.line == *expected[found]);
            found++;
            if (is_line) dispatch(caller, next.line);
        }
        XSAN_ASSERT(framer.buffered_bytes() <= line_max + chunk);
    }
    XSAN_ASSERT(found == expected.size());
    // What comes without a newline is a line for the parser all the same.
    if (how == 0 && text.find('\n') == std::string_view::npos) dispatch(caller, std::string(text));
    return 0;
}
