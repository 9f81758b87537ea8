// Wear over restarts: what the members' books say is taken up, and what is known now is written to them.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/units.h"
#include "meta/book.h"
#include "pool/pool.h"
#include "pool/wear.h"

namespace xsan::pool {

Task<void> Wear::load(bool is_new) {
    counted_at_ = heat_at_ = saved_at_ = load_at_ = pool_.control().now();
    for (const MemberIndex member : live_members()) co_await open(member, true);
    // What was not written down had numbers, too.
    if (pool_.was_unclean() && events_.last() > 0) events_.skip(EventLog::kEventsMax);
    if (is_new) co_await read_drives();
}

// What was hot when the book was written, and has cooled down since.
void Wear::take_heat(const WearBook& book) {
    heat_.clear();  // of an older book
    const double age = std::max(0.0, static_cast<double>(now_seconds() - book.heat_seconds));
    for (const WearBook::Heat& heat : book.heat) {
        if (heat.group.get() >= pool_.state().group_limit()) continue;
        if (pool_.state().row(heat.group) != nullptr) heat_.restore(heat.group, heat.rate_bytes, age);
    }
}

// `from_zero`: what the counters of this run say of the member was not accounted for yet.
Task<void> Wear::open(MemberIndex member, bool from_zero) {
    const Uuid uuid = pool_.state().members()[member.get()]->uuid;
    const meta::BookOwner owner{pool_.state().pool().uuid, uuid};
    std::optional<meta::FoundBook> found;
    if (dev::BlockDevice* device = pool_.live_device(member)) {
        Quiescence::Scope scope(pool_.engine().quiescence());
        found = co_await meta::read_book(*device, owner);
    }
    if (!is_still(member, uuid)) co_return;
    const wl::Endurance rated = endurance_of(member, 0);
    std::optional<WearBook> book;
    if (found) book = decode_wear_book(found->book.payload, rated);
    auto side = std::make_unique<Side>(uuid, wl::Account(rated, now_seconds()));
    if (found) side->book_place = 1 - found->place;
    if (book && book->account) {
        side->account = std::move(*book->account);
        side->account.rate(endurance_of(member, side->account.endurance_by_command));
    }
    if (found) book_number_ = std::max(book_number_, found->book.number);
    // Only before the pool runs: a drive that comes back later knows nothing newer than the pool does.
    if (book && from_zero && found->book.number > taken_number_) {
        taken_number_ = found->book.number;
        take_pool_part(*book);
    }
    sides_[member] = std::move(side);
    if (from_zero) co_return;
    Side& joined = *sides_[member];
    joined.seen = totals_of(member);
    joined.requests_seen = joined.seen.reads.count + joined.seen.writes().count;
}

void Wear::take_pool_part(WearBook& book) {
    const auto pass_over = [this](const Failure& why) {
        log(LogLevel::warning, "pool {}: settings of wear leveling are passed over: {}", pool_.name(), why.message);
    };
    // All of them before what binds several is checked.
    wl::WearSettings settings;
    for (const std::string& setting : book.settings) {
        const std::size_t equals = std::min(setting.find('='), setting.size());
        const std::string_view text = setting;
        const auto changed = wl::change_setting(settings, text.substr(0, equals),
                                                text.substr(std::min(equals + 1, setting.size())));
        if (!changed) pass_over(changed.error());
    }
    const auto checked = wl::check_wear_settings(settings);
    if (checked) settings_ = settings;
    if (!checked) pass_over(checked.error());
    task_is_on_ = book.task_is_on;
    user_bytes_ = book.user_bytes;
    device_bytes_ = book.device_bytes;
    events_.restore(std::move(book.events), book.last_event);
    take_heat(book);
    if (book.policy.empty() || book.policy == pool_.placement_name()) return;
    const auto used = pool_.use_placement(book.policy);
    if (!used) log(LogLevel::warning, "pool {}: {}", pool_.name(), used.error().message);
}

WearBook Wear::pool_part() const {
    WearBook book;
    book.policy = std::string(pool_.placement_name());
    book.task_is_on = task_is_on_;
    book.user_bytes = user_bytes_;
    book.device_bytes = device_bytes_;
    for (const wl::SettingValue& setting : wl::list_settings(settings_)) {
        book.settings.push_back(wl::setting_text(setting));
    }
    book.last_event = events_.last();
    book.events.assign(events_.all().begin(), events_.all().end());
    book.heat_seconds = now_seconds();
    for (const HotGroup& hot : hottest(WearBook::kHeatMax)) book.heat.push_back({hot.group, hot.rate_bytes});
    std::ranges::sort(book.heat, {}, &WearBook::Heat::group);
    return book;
}

// False where no member could take it.
Task<bool> Wear::save() {
    co_await saving_.lock();
    AsyncMutex::Guard guard(saving_);
    saved_at_ = pool_.control().now();
    const bool had_news = save_by_.has_value();
    save_by_.reset();
    is_dirty_ = false;
    book_number_++;
    const WearBook common = pool_part();
    std::vector<Task<bool>> writing;
    for (const MemberIndex member : live_members()) {
        if (sides_.contains(member)) writing.push_back(write_to(member, common));
    }
    co_await when_all(std::span(writing));
    bool any = false;
    for (auto& task : writing) any |= task.take();
    if (!any && had_news) save_by_ = pool_.control().now() + kSaveSoon;
    co_return any;
}

Task<bool> Wear::write_to(MemberIndex member, const WearBook& common) {
    const Side& before = *sides_.at(member);
    const unsigned place = before.book_place;
    WearBook content = common;
    content.account = before.account;
    meta::Book book{book_number_, encode_wear_book(std::move(content), meta::kBookPayloadMax)};
    const meta::BookOwner owner{pool_.state().pool().uuid, before.uuid};
    const std::uint64_t bytes = book.payload.size();
    Result<void> written = Error{Errc::device_gone};
    {
        Quiescence::Scope scope(pool_.engine().quiescence());
        dev::BlockDevice* device = pool_.live_device(member);
        if (device == nullptr) co_return false;
        written = co_await meta::write_book(*device, owner, std::move(book), place);
    }
    // Another drive may have taken the member's number meanwhile.
    Side& side = *sides_.at(member);
    if (side.uuid != owner.member) co_return false;
    if (written) {
        side.book_place = 1 - place;
        side.book_has_failed = false;
        side.books = {side.books.count + 1, side.books.bytes + round_up(bytes, 4 * kKiB)};
        co_return true;
    }
    if (!side.book_has_failed) {
        log(LogLevel::warning, "pool {}: figures of wear could not be written to {} ({}): they may be lost with the "
                               "daemon",
            pool_.name(), pool_.describe_member(member), errc_name(written.error().code));
    }
    side.book_has_failed = true;
    co_return false;
}

Task<void> Wear::keep() {
    count_all();
    (void)co_await save();
}

Task<Outcome<void>> Wear::save_now() {
    const bool saved = co_await save();
    if (saved) co_return Outcome<void>{};
    co_return Failure(Errc::io_error, fmt::format("no member of pool '{}' could take it: it holds until the pool is "
                                                  "stopped",
                                                  pool_.name()));
}

}  // namespace xsan::pool
