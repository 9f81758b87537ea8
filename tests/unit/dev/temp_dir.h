// A directory that is gone at the end of the test.
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/assert.h"

namespace xsan::test {

class TempDir {
  public:
    explicit TempDir(const std::string& under = "/tmp") : path_(under + "/xsan-test-XXXXXX") {
        XSAN_ASSERT(::mkdtemp(path_.data()) != nullptr);
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    std::string file(const std::string& name) const { return path_ + "/" + name; }

    // A sparse file of zeros.
    std::string make_file(const std::string& name, std::uint64_t bytes) const {
        const std::string path = file(name);
        const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        XSAN_ASSERT(fd >= 0 && ::ftruncate(fd, static_cast<off_t>(bytes)) == 0);
        ::close(fd);
        return path;
    }

  private:
    std::string path_;
};

}  // namespace xsan::test
