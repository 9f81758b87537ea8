// DriveReadings: what is known of the wear of drives: from a user's file, from the drives' own health logs, and
// rated endurance from the configuration. What the file gives goes before what the drive gives, field by field.
//
// Owned by the service, used on the control reactor by all pools; files and drives are read through Offload, drives one
// after the other while they answer. A drive that does not answer holds nothing up: read() has a limit to its patience,
// and the other drives are asked beside it, unless kAskedMost hang. Destroyed when no read() runs, after stop().
//
// Invariants: what the file gives is always the whole content of one file that was valid. A file that is refused
// changes nothing, and is spoken of once; one that is removed takes its readings with it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/config.h"
#include "daemon/readings_file.h"
#include "dev/drive_health.h"
#include "pool/wear_reader.h"
#include "reactor/offload.h"
#include "reactor/reactor.h"
#include "reactor/task_group.h"

namespace xsan::daemon {

class DriveReadings final : public pool::WearReader {
  public:
    using ReadHealth = std::function<Outcome<dev::DriveHealth>(const std::string& path)>;
    static constexpr TimeNs kHealthInterval = 60 * kSecond;  // of one drive
    // So long a read() waits for health logs; what comes later is in the next answer.
    static constexpr TimeNs kHealthPatience = 2 * kSecond;
    static constexpr TimeNs kHungAfter = 400 * kMillisecond;  // then the next drive is asked
    static constexpr unsigned kAskedMost = 4;      // at once: helper threads are there for other work, too

    // `read_health` is called on helper threads, for several drives at once.
    DriveReadings(Offload& offload, Config::Wear config, ReadHealth read_health = dev::read_health);

    Task<std::vector<pool::DriveReading>> read(std::vector<pool::DriveName> drives) override;
    // Returns when no drive is being asked, which a hung one puts off for as long as the kernel waits for it.
    Task<void> stop();
    // By serial before by model; of several patterns the first that matches.
    double endurance_bytes(const pool::DriveName& drive) const override;

  private:
    // By what a change of the file is told.
    struct Stamp {
        std::int64_t modified_s = 0;
        std::int64_t modified_ns = 0;  // of that second
        std::int64_t size = 0;
        std::uint64_t inode = 0;
        friend bool operator==(const Stamp&, const Stamp&) = default;
    };
    struct Drive {
        TimeNs asked_at = 0;   // the health log, also when that failed
        TimeNs wanted_at = 0;  // by a pool
        bool is_due = false;   // waits to be asked, or is
        bool has_none = false; // it is no NVMe drive: not asked again
        bool was_told = false; // that it cannot be read
        std::optional<dev::DriveHealth> health;  // the last that was read
        TimeNs health_at = 0;                    // and when
    };
    using Key = std::pair<std::string, std::string>;  // path, serial
    struct Job;

    void note_wanted(const Job& job, TimeNs now);
    void ask_where_due();
    Task<void> ask_drives();
    bool are_due(const Job& job) const;
    void look_at_file(Job& job) const;
    static void resolve_paths(Job& job);
    void take_file(Job& job);
    void take_health(const pool::DriveName& name, const Outcome<dev::DriveHealth>& health);
    std::vector<pool::DriveReading> answers_of(const Job& job) const;

    Offload& offload_;
    const Config::Wear config_;
    const ReadHealth read_health_;
    std::optional<Stamp> stamp_;  // of the file as it was looked at last; nullopt: there was none
    ReadingsFile file_;
    std::map<Key, Drive> drives_;
    std::deque<pool::DriveName> due_;  // to be asked, in this order
    // One loop asks; where a drive keeps it waiting the next begins.
    std::map<std::uint64_t, TimeNs> asking_;  // loops, by number: when the drive that each waits for was asked
    std::uint64_t loops_ = 0;                 // that were begun
    TaskGroup tasks_;
};

}  // namespace xsan::daemon
