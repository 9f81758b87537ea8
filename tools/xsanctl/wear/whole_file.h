// Writing a file wholly or not at all.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace xsan::ctl::wear {

// Writes a temporary file beside `path`, makes it durable and renames it: whoever reads `path` sees
// its old content or the new one, also after a crash. A link is followed. What exists must be a
// regular file, whose mode is kept; a new one has 0666 less the umask.
// Errors: io_error or invalid_argument, one line that names the file. Nothing is left behind.
Outcome<void> write_whole_file(const std::string& path, std::string_view content);

}  // namespace xsan::ctl::wear
