// Reading drives and the file of readings.
#include "daemon/wear_readings.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "base/log.h"
#include "base/text.h"
#include "daemon/toml_item.h"
#include "wl/account.h"

namespace xsan::daemon {
namespace {

// A drive that nobody has asked for so long is forgotten.
constexpr TimeNs kForgottenAfter = 10 * DriveReadings::kHealthInterval;
constexpr TimeNs kLookAgain = 20 * kMillisecond;

// Blocks. The drive behind links such as /dev/disk/by-id/...; the path itself where there is none.
std::string resolved(const std::string& path) {
    const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), std::free);
    return drive_path(real ? std::string_view(real.get()) : std::string_view(path));
}

wl::WearReading reading_of(const dev::DriveHealth& health) {
    wl::WearReading reading;
    reading.percentage_used = health.used_percent;
    reading.bytes_written = static_cast<double>(health.written_bytes);
    reading.spare_percent = health.available_spare_percent;
    reading.spare_threshold_percent = health.spare_threshold_percent;
    reading.media_errors = health.media_errors;
    reading.temperature_celsius = health.temperature_celsius;
    return reading;
}

// Field by field, `first` where it has one.
wl::WearReading combined(const wl::WearReading& first, const wl::WearReading& second) {
    const auto either = [](const auto& a, const auto& b) { return a ? a : b; };
    wl::WearReading reading;
    reading.percentage_used = either(first.percentage_used, second.percentage_used);
    reading.bytes_written = either(first.bytes_written, second.bytes_written);
    reading.spare_percent = either(first.spare_percent, second.spare_percent);
    reading.spare_threshold_percent = either(first.spare_threshold_percent, second.spare_threshold_percent);
    reading.media_errors = either(first.media_errors, second.media_errors);
    reading.temperature_celsius = either(first.temperature_celsius, second.temperature_celsius);
    return reading;
}

}  // namespace

// What one read() does off the reactor, and what comes of it.
struct DriveReadings::Job {
    std::vector<pool::DriveName> drives;
    std::vector<std::string> resolved_paths;  // of each its device, whatever it was opened by; empty: not looked for
    std::optional<Stamp> stamp_before;
    std::optional<Stamp> stamp;       // as it is now
    std::string refusal;              // why the file's new content is not taken; empty: it is
    std::optional<ReadingsFile> content;  // new, where the file has changed and is valid
    ReadingsFile in_force;                // what was in force before
    std::vector<std::string> entry_paths; // resolved, of what is in force now
};

DriveReadings::DriveReadings(Offload& offload, Config::Wear config, ReadHealth read_health)
    : offload_(offload), config_(std::move(config)), read_health_(std::move(read_health)) {}

void DriveReadings::look_at_file(Job& job) const {
    const std::string& path = config_.readings;
    if (path.empty()) return;
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) {
            if (job.stamp_before) job.content.emplace();
            return;
        }
        // Not to be looked at: spoken of once, as of a file that never changes.
        job.stamp = Stamp{-1, errno, 0, 0};
        if (job.stamp != job.stamp_before) job.refusal = fmt::format("{}: {}", path, std::strerror(errno));
        return;
    }
    job.stamp = Stamp{status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_size, status.st_ino};
    if (job.stamp == job.stamp_before) return;
    const auto text = read_text_file(path, kReadingsBytesMax);
    if (!text) {
        job.refusal = text.error().message;
        return;
    }
    auto content = parse_readings(*text, path);
    if (content) {
        job.content = std::move(*content);
    } else {
        job.refusal = content.error().message;
    }
}

void DriveReadings::resolve_paths(Job& job) {
    const ReadingsFile& file = job.content ? *job.content : job.in_force;
    const bool has_paths = std::any_of(file.drives.begin(), file.drives.end(),
                                       [](const ReadingsFile::Entry& entry) { return !entry.path.empty(); });
    if (!has_paths) return;
    for (const ReadingsFile::Entry& entry : file.drives)
        job.entry_paths.push_back(entry.path.empty() ? std::string() : resolved(entry.path));
    for (std::size_t i = 0; i < job.drives.size(); i++)
        job.resolved_paths[i] = resolved(job.drives[i].path);
}

void DriveReadings::take_file(Job& job) {
    // Another read() may have been faster; then this has been said and done.
    if (job.stamp == stamp_) return;
    stamp_ = job.stamp;
    if (!job.refusal.empty()) {
        log(LogLevel::warning, "readings of wear are not taken, those from before stay: {}", job.refusal);
    } else if (job.content) {
        file_ = *job.content;
        if (job.stamp) {
            log(LogLevel::info, "{}: readings of {} drives", config_.readings, file_.drives.size());
        } else {
            log(LogLevel::info, "{} is gone, and its readings with it", config_.readings);
        }
    }
}

void DriveReadings::take_health(const pool::DriveName& name, const Outcome<dev::DriveHealth>& health) {
    const auto at = drives_.find(Key(name.path, name.serial));
    if (at == drives_.end()) return;
    Drive& drive = at->second;
    drive.is_due = false;
    if (health) {
        drive.health = *health;
        drive.health_at = Reactor::current().now();
        return;
    }
    const Failure& failure = health.error();
    drive.has_none = failure.code == Errc::unsupported;
    // What the drive said last stays: wear does not go back.
    if (std::exchange(drive.was_told, true)) return;
    log(drive.has_none ? LogLevel::info : LogLevel::warning, "no wear is read from a drive: {}", failure.message);
}

void DriveReadings::ask_where_due() {
    const TimeNs now = Reactor::current().now();
    const auto is_hung = [now](const auto& loop) { return now - loop.second >= kHungAfter; };
    if (due_.empty() || asking_.size() >= kAskedMost || !std::ranges::all_of(asking_, is_hung)) return;
    tasks_.spawn(ask_drives());
}

Task<void> DriveReadings::ask_drives() {
    const std::uint64_t loop = loops_++;
    while (!due_.empty()) {
        const pool::DriveName name = std::move(due_.front());
        due_.pop_front();
        asking_[loop] = Reactor::current().now();
        std::optional<Outcome<dev::DriveHealth>> health;
        std::function<void()> ask = [&] { health = read_health_(name.path); };
        co_await offload_.run(std::move(ask));
        take_health(name, *health);
    }
    asking_.erase(loop);
}

Task<void> DriveReadings::stop() {
    due_.clear();
    co_await tasks_.join();
}

// Notes which drives' health logs are due, and that they have been asked: another read() does not ask them, too.
void DriveReadings::note_wanted(const Job& job, TimeNs now) {
    for (const pool::DriveName& name : job.drives) {
        const auto [at, is_new] = drives_.try_emplace(Key(name.path, name.serial));
        Drive& drive = at->second;
        drive.wanted_at = now;
        // Memory and the like have no path to a health log.
        const bool may_have_one = !drive.has_none && name.path.starts_with('/');
        if (!may_have_one || drive.is_due || !(is_new || now - drive.asked_at >= kHealthInterval)) continue;
        drive.asked_at = now;
        drive.is_due = true;
        due_.push_back(name);
    }
    std::erase_if(drives_, [&](const auto& entry) {
        return !entry.second.is_due && now - entry.second.wanted_at > kForgottenAfter;
    });
}

bool DriveReadings::are_due(const Job& job) const {
    return std::ranges::any_of(job.drives, [&](const pool::DriveName& name) {
        const auto at = drives_.find(Key(name.path, name.serial));
        return at != drives_.end() && at->second.is_due;
    });
}

std::vector<pool::DriveReading> DriveReadings::answers_of(const Job& job) const {
    const std::vector<ReadingsFile::Entry>& entries = (job.content ? *job.content : job.in_force).drives;
    std::map<std::string_view, const wl::WearReading*> by_serial;
    std::map<std::string_view, const wl::WearReading*> by_path;
    for (std::size_t k = 0; k < entries.size(); k++) {
        if (!entries[k].serial.empty()) by_serial.emplace(entries[k].serial, &entries[k].reading);
        if (!entries[k].path.empty()) by_path.emplace(job.entry_paths[k], &entries[k].reading);
    }
    std::vector<pool::DriveReading> answers(job.drives.size());
    for (std::size_t i = 0; i < answers.size(); i++) {
        const pool::DriveName& name = job.drives[i];
        wl::WearReading& reading = answers[i].reading;
        const auto known = drives_.find(Key(name.path, name.serial));
        if (known != drives_.end() && known->second.health) {
            reading = reading_of(*known->second.health);
            const TimeNs age = Reactor::current().now() - known->second.health_at;
            answers[i].age_seconds = static_cast<std::int64_t>(age / kSecond);
        }
        // A drive that the file names in both ways is what its serial says.
        auto given = by_serial.find(name.serial);
        if (given == by_serial.end()) {
            given = by_path.find(job.resolved_paths[i]);
            if (given == by_path.end()) continue;
        }
        reading = combined(*given->second, reading);
        answers[i].from_file = says_anything(*given->second);
        if (answers[i].from_file) answers[i].age_seconds = 0;
    }
    return answers;
}

Task<std::vector<pool::DriveReading>> DriveReadings::read(std::vector<pool::DriveName> drives) {
    Job job;
    job.drives = std::move(drives);
    job.resolved_paths.resize(job.drives.size());
    job.stamp_before = stamp_;
    job.in_force = file_;
    const TimeNs began = Reactor::current().now();
    note_wanted(job, began);
    std::function<void()> look = [this, &job] {
        look_at_file(job);
        resolve_paths(job);
    };
    co_await offload_.run(std::move(look));
    take_file(job);
    ask_where_due();
    while (are_due(job) && Reactor::current().now() - began < kHealthPatience) {
        co_await sleep_for(kLookAgain);
        ask_where_due();
    }
    auto answers = answers_of(job);
    co_return answers;
}

double DriveReadings::endurance_bytes(const pool::DriveName& drive) const {
    const auto bytes = [&](const Config::Wear::Endurance& endurance) {
        if (endurance.bytes > 0) return static_cast<double>(endurance.bytes);
        return endurance.drive_writes * static_cast<double>(drive.size_bytes);
    };
    for (const auto& endurance : config_.endurance) {
        if (!endurance.serial.empty() && endurance.serial == drive.serial) return bytes(endurance);
    }
    for (const auto& endurance : config_.endurance) {
        if (!endurance.model.empty() && wl::matches_model(endurance.model, drive.model)) return bytes(endurance);
    }
    return 0;
}

}  // namespace xsan::daemon
