// Records from a fuzzer's choices: mostly such as fit a small pool, now and then off in one field.
#pragma once

#include <vector>

#include "fuzz/input.h"
#include "meta/records.h"

namespace xsan::fuzz {

inline constexpr unsigned kPoolMembers = 4;

Uuid uuid_of(std::uint8_t n);
// Small: 32 extents of 1 MiB, metadata that costs little to look at.
meta::MemberLayout small_layout();

// Pool, members and three schemes (1+1, raid0 of two, 2+1): what a pool begins with.
std::vector<meta::Record> initial_records();

class RecordMaker {
  public:
    explicit RecordMaker(Input& in) : in_(in) {}
    meta::Record next();

  private:
    void fill_pool(meta::Record& r);
    void fill_member(meta::Record& r);
    void fill_scheme(meta::Record& r);
    void fill_row(meta::Record& r);
    void fill_volume(meta::Record& r);
    void fill_map(meta::Record& r);
    // `usual`, or a number that may be anything.
    template <class T>
    T odd(T usual) {
        return in_.one_in(32) ? static_cast<T>(in_.number()) : usual;
    }
    MemberIndex member() { return MemberIndex{odd<std::uint16_t>(in_.u8() % kPoolMembers)}; }
    GroupIndex group() { return GroupIndex{odd<std::uint32_t>(in_.u8() % 12)}; }
    meta::VolumeId volume() { return meta::VolumeId{odd<std::uint32_t>(in_.u8() % 3)}; }

    Input& in_;
    std::uint32_t generation_ = 0;  // of the rows so far: each is newer than the one before
};

}  // namespace xsan::fuzz
