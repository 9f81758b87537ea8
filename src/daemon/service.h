// Service: everything that xsand does, behind the control protocol and in process alike: pools, their
// volumes' block devices, and the verbs of the command line with their checks and their JSON.
//
// Owned by the main program. Lives on the control reactor. start() takes up what a previous daemon left;
// stop() leaves devices that are in use to the next one. Verbs run one after the other where they change
// anything (changes_), so that two commands never meet half done; reading verbs do not wait.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/config.h"
#include "daemon/devices.h"
#include "daemon/wear_readings.h"
#include "daemon/metric_set.h"
#include "pool/pool.h"
#include "pool/volume.h"
#include "reactor/offload.h"
#include "reactor/reactor_pool.h"
#include "reactor/sync.h"
#include "rpc/dispatcher.h"
#include "rpc/params.h"
#include "ublk/target.h"

namespace xsan::daemon {

struct ServiceOptions {
    Config config;
    std::string run_folder = "/run/xsan";  // state.json and the links that the udev rule reads
    std::uint64_t seed = 0;
    std::function<std::int64_t()> wall_seconds;  // Unix time; absent: since the machine was started
    // Called between the steps of start(), which may take long.
    std::function<void()> on_progress;
};

class Service {
  public:
    Service(ReactorPool& reactors, Offload& offload, ServiceOptions options);
    Service(const Service&) = delete;
    Service& operator=(const Service&) = delete;
    ~Service();

    // Registers a handler for every verb. The dispatcher must not outlive the service.
    void register_methods(rpc::Dispatcher& dispatcher);

    // Assembles the pools that state.json names and takes over their live block devices. What fails is
    // logged; the daemon serves what it can.
    Task<void> start();
    // Detaches devices that nobody uses, leaves the others waiting for the next daemon, stops the pools.
    Task<void> stop();
    // All metrics as they are now (docs/metrics.md). On the control reactor, between start() and stop().
    MetricSnapshot metrics();

    // Devices that stop() left to the next daemon. Their buffers must outlive the reactors.
    std::vector<std::unique_ptr<ublk::Target>> take_abandoned() { return std::move(abandoned_); }

  private:
    using Json = nlohmann::json;
    using Answer = Outcome<Json>;

    struct Entry {
        std::unique_ptr<pool::Pool> pool;
        std::map<meta::VolumeId, std::unique_ptr<ublk::Target>> targets;
        bool is_leaving = false;  // being stopped: members that close one by one are not missing
    };

    // What state.json holds of a pool.
    struct Remembered {
        std::vector<std::string> devices;
        std::vector<unsigned> ublk_numbers;
    };

    // verbs_pool.cc
    Task<Answer> create(Json params);
    Task<Answer> list(Json params);
    Task<Answer> show(Json params);
    Task<Answer> assemble(Json params);
    Task<Answer> stop_pool(Json params);
    Task<Answer> destroy(Json params);
    Task<Answer> add(Json params);
    Task<Answer> fail(Json params);
    Task<Answer> rebuild_start(Json params);
    Task<Answer> rebuild_pause(Json params);
    Task<Answer> rebuild_status(Json params);
    Task<Answer> scrub_check(Json params);
    Task<Answer> scrub_repair(Json params);
    Task<Answer> scrub_start(Json params, bool repair);
    Task<Answer> scrub_hold(Json params, bool paused);
    Task<Answer> scrub_pause(Json params);
    Task<Answer> scrub_resume(Json params);
    Task<Answer> scrub_status(Json params);
    Task<Answer> ping(Json params);
    Task<Answer> version(Json params);
    // verbs_move.cc
    Task<Answer> relocate(Json params);
    Task<Answer> rebuild_group(Json params);
    // verbs_wear.cc
    void watch_users(Entry& entry);
    Outcome<pool::Wear*> find_wear(const rpc::Params& params);
    Task<Outcome<std::optional<MemberIndex>>> maybe_member(pool::Pool& pool, std::optional<std::string> text);
    Task<Answer> wear_show(Json params);
    Task<Answer> wear_history(Json params);
    Task<Answer> wear_policy(Json params);
    Task<Answer> wear_set(Json params);
    Task<Answer> wear_endurance(Json params);
    Task<Answer> wear_start(Json params);
    Task<Answer> wear_stop(Json params);
    Task<Answer> wear_pause(Json params);
    Task<Answer> wear_resume(Json params);
    Task<Answer> wear_balance(Json params);
    Task<Answer> wear_plan(Json params);
    Task<Answer> wear_predict(Json params);
    Task<Answer> wear_reset(Json params);
    Task<Answer> events(Json params);
    // verbs_volume.cc
    Task<Answer> volume_create(Json params);
    Task<Answer> volume_resize(Json params);
    Task<Answer> volume_attach(Json params);
    Task<Answer> volume_detach(Json params);
    Task<Answer> volume_delete(Json params);
    Task<Answer> volume_list(Json params);

    using Verb = Task<Answer> (Service::*)(Json params);
    void handle(rpc::Dispatcher& dispatcher, std::string_view method, Verb verb);
    void handle_change(rpc::Dispatcher& dispatcher, std::string_view method, Verb verb);
    Task<Answer> exclusively(Verb verb, Json params);

    Task<Outcome<MemberIndex>> resolve_member(pool::Pool& pool, std::string text);
    Outcome<Entry*> find(const std::string& pool_name);
    Task<Outcome<void>> add_opened(Entry& entry, std::vector<OpenedDevice>& opened, bool spare, bool force);
    Outcome<pool::Volume*> find_volume(Entry& entry, const std::string& volume_name);
    pool::Environment environment();
    void note_progress() const {
        if (options_.on_progress) options_.on_progress();
    }

    // assembly.cc
    struct Candidates {
        std::vector<pool::Pool::Found> found;
        std::string name;
    };
    struct Refusal {
        std::string pool;
        Failure why;
    };
    struct Assembled {
        std::vector<std::string> started;
        std::vector<Refusal> refused;  // also pools that were started, with what is wrong with a volume
    };
    Task<Assembled> assemble_from(std::vector<OpenedDevice> devices, const std::string& only,
                                  bool accept_missing);
    static Outcome<Json> answer_of(const Assembled& assembled, const std::vector<Failure>& notes,
                                   const std::string& only, bool scanned);
    Task<std::optional<unsigned>> device_of(const pool::Volume& volume,
                                            const std::vector<ublk::DeviceInfo>& devices);
    Task<bool> delete_device(unsigned number);
    Task<void> delete_orphans(const std::map<std::string, Remembered>& before);
    Task<Outcome<void>> resume_volumes(Entry& entry);

    // attach.cc
    void remove_link(unsigned number) const;
    Task<Outcome<void>> check_ublk();
    Task<Outcome<std::string>> attach(Entry& entry, pool::Volume& volume);
    Task<Outcome<void>> recover(Entry& entry, pool::Volume& volume, unsigned number);
    Task<Outcome<void>> detach(Entry& entry, pool::Volume& volume, bool remember);
    Task<Outcome<void>> detach_all(Entry& entry, bool remember);
    ublk::TargetOptions target_options(const pool::Volume& volume) const;

    // show.cc
    Json describe(Entry& entry);
    Json describe_members(const pool::Pool& pool) const;
    Json describe_volumes(Entry& entry);
    Json describe_jobs(const pool::Pool& pool) const;

    // state_file.cc
    Task<void> save_state();
    Task<void> write_state();
    static std::vector<std::string> member_paths(const pool::Pool& pool);
    Outcome<void> load_state();
    std::vector<std::string> remembered_devices() const;

    ReactorPool& reactors_;
    Offload& offload_;
    ServiceOptions options_;
    DriveReadings readings_;
    Rng rng_;
    AsyncMutex changes_;
    std::map<std::string, Entry> pools_;
    // By pool, what state.json holds: running ones, and those that could not be started and may be later.
    std::map<std::string, Remembered> remembered_;
    std::vector<std::unique_ptr<ublk::Target>> abandoned_;
};

}  // namespace xsan::daemon
