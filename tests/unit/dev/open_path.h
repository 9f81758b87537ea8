// Opens a device from a test, by the text that names it.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "dev/open.h"
#include "support/catch.h"

namespace xsan::test {

inline std::unique_ptr<dev::BlockDevice> open_path(const std::string& path) {
    auto spec = dev::parse_device(path);
    REQUIRE(spec.has_value());
    auto device = dev::open_device(*spec);
    if (!device.has_value()) FAIL(device.error().message);
    return std::move(device).value();
}

}  // namespace xsan::test
