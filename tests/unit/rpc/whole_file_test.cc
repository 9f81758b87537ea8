// Properties of writing a file: wholly or not at all, and nothing is left beside it.
#include "xsanctl/wear/whole_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "support/catch.h"

using namespace xsan;
using xsan::ctl::wear::write_whole_file;
namespace fs = std::filesystem;

namespace {

class Folder {
  public:
    Folder() { REQUIRE(::mkdtemp(path_) != nullptr); }
    ~Folder() { fs::remove_all(path_); }
    std::string operator/(const char* name) const { return std::string(path_) + "/" + name; }
    std::size_t entries() const {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
    }

  private:
    char path_[32] = "/tmp/xsan-test-XXXXXX";
};

std::string content_of(const std::string& path) {
    std::ifstream in(path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

std::string file_refusal(const std::string& path) {
    const auto written = write_whole_file(path, "new");
    REQUIRE(!written);
    CHECK(written.error().message.find('\n') == std::string::npos);
    return written.error().message;
}

}  // namespace

TEST_CASE("a new file has the content and the usual mode", "[xsanctl][wear][file]") {
    const Folder folder;
    const std::string content(100'000, 'x');
    REQUIRE(write_whole_file(folder / "a", content));
    CHECK(content_of(folder / "a") == content);
    CHECK(folder.entries() == 1);
    const mode_t mask = ::umask(0);
    ::umask(mask);
    struct stat found {};
    REQUIRE(::stat((folder / "a").c_str(), &found) == 0);
    CHECK((found.st_mode & 07777) == (0666 & ~mask));
}

TEST_CASE("a file that exists is replaced, keeps its mode, and links lead to it",
          "[xsanctl][wear][file]") {
    const Folder folder;
    std::ofstream(folder / "a") << "old";
    REQUIRE(::chmod((folder / "a").c_str(), 0600) == 0);
    REQUIRE(::symlink("a", (folder / "link").c_str()) == 0);
    REQUIRE(write_whole_file(folder / "link", "new"));
    CHECK(content_of(folder / "a") == "new");
    CHECK(fs::is_symlink(folder / "link"));
    struct stat found {};
    REQUIRE(::stat((folder / "a").c_str(), &found) == 0);
    CHECK((found.st_mode & 07777) == 0600);
    CHECK(folder.entries() == 2);
}

TEST_CASE("what cannot be written is refused in one line and nothing is left",
          "[xsanctl][wear][file]") {
    const Folder folder;
    fs::create_directory(folder / "d");
    REQUIRE(::symlink("nowhere", (folder / "dangling").c_str()) == 0);
    CHECK(file_refusal(folder / "no/file").find("No such file or directory") != std::string::npos);
    CHECK(file_refusal(folder / "d").find("is no regular file") != std::string::npos);
    CHECK(file_refusal(folder / "new/").find("cannot write") != std::string::npos);
    CHECK(file_refusal(folder / "dangling").find("is no regular file") != std::string::npos);
    CHECK(file_refusal("/dev/null").find("is no regular file") != std::string::npos);
    CHECK(file_refusal("").find("cannot write ''") != std::string::npos);
    CHECK(file_refusal("/proc/nosuch").find("cannot write") != std::string::npos);
    CHECK(folder.entries() == 2);
}
