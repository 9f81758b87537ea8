// Properties of encode and update, and of which losses a codec says it survives.
#include "ec/codec.h"

#include <bit>
#include <memory>
#include <thread>
#include <vector>

#include "support/catch.h"
#include "unit/ec/buffers.h"
#include "unit/ec/reference.h"

using namespace xsan;
using namespace xsan::ec;
using reference::Buffers;
using reference::Bytes;
using reference::Strips;

namespace {

// A stripe in aligned or unaligned memory with right data; parity is garbage until something is
// coded.
struct Stripe {
    Stripe(const Scheme& s, std::size_t bytes, std::size_t offset, Rng& rng)
        : expected(reference::random_stripe(s, rng, bytes)),
          buffers(s.total_strips(), bytes, offset, rng),
          data(buffers.pointers().begin(), buffers.pointers().begin() + s.data_strips),
          parity(buffers.pointers().begin() + s.data_strips, buffers.pointers().end()) {
        for (unsigned i = 0; i < s.data_strips; ++i)
            buffers.set(i, expected[i]);
    }
    bool is_codeword() const { return buffers.copies() == expected && buffers.frame_is_intact(); }

    Strips expected;
    Buffers buffers;
    std::vector<const std::byte*> data;
    std::vector<std::byte*> parity;
};

std::vector<Scheme> all_schemes() {
    std::vector<Scheme> all = reference::all_k_plus_p();
    for (const Scheme& s : reference::design_shapes())
        all.push_back(s);
    return all;
}

}  // namespace

TEST_CASE("parity is what the definition of every admitted scheme says", "[ec]") {
    Rng rng(1);
    for (const Scheme& s : all_schemes()) {
        const Codec codec(s);
        for (const std::size_t bytes : {std::size_t{512}, std::size_t{77}}) {
            Stripe stripe(s, bytes, bytes % 2, rng);
            codec.encode(stripe.data, stripe.parity, bytes);
            INFO(s.name() << " " << s.shape() << ", " << bytes << " bytes");
            CHECK(stripe.is_codeword());
        }
    }
}

TEST_CASE("parity is right for all lengths up to 100 at any alignment", "[ec]") {
    Rng rng(2);
    for (const Scheme& s : reference::design_shapes()) {
        const Codec codec(s);
        for (std::size_t bytes = 0; bytes <= 100; ++bytes) {
            const std::size_t offset = bytes % 3 == 0 ? 0 : rng.below(64);
            Stripe stripe(s, bytes, offset, rng);
            codec.encode(stripe.data, stripe.parity, bytes);
            if (!stripe.is_codeword()) FAIL(s.shape() << ", " << bytes << " bytes at " << offset);
        }
    }
}

TEST_CASE("parities that are not asked for are not computed", "[ec]") {
    Rng rng(3);
    for (const Scheme& s : reference::design_shapes()) {
        const Codec codec(s);
        for (unsigned round = 0; round < 20; ++round) {
            Stripe stripe(s, 96, round % 2, rng);
            const std::uint64_t asked = rng.next();
            std::vector<std::byte*> parity = stripe.parity;
            for (unsigned j = 0; j < s.parity_strips; ++j) {
                if ((asked >> j & 1) == 0) {
                    parity[j] = nullptr;
                    stripe.expected[s.data_strips + j] = stripe.buffers.copy(s.data_strips + j);
                }
            }
            codec.encode(stripe.data, parity, 96);
            INFO(s.shape() << " parities " << asked);
            CHECK(stripe.is_codeword());
        }
    }
}

TEST_CASE("updating parity by a delta equals encoding the new data", "[ec]") {
    Rng rng(4);
    for (const Scheme& s : all_schemes()) {
        const Codec codec(s);
        for (const std::size_t bytes : {std::size_t{4096}, 1 + std::size_t{rng.below(100)}}) {
            Stripe before(s, bytes, rng.below(2) * 5, rng);
            codec.encode(before.data, before.parity, bytes);
            const auto changed = static_cast<unsigned>(rng.below(s.data_strips));
            const Bytes next = reference::random_bytes(rng, bytes);
            Bytes delta(bytes);
            xor_blocks(delta.data(), before.data[changed], next.data(), bytes);
            const std::uint64_t skipped = rng.below(2) == 0 ? 0 : rng.next();

            Stripe after(s, bytes, 0, rng);
            for (unsigned i = 0; i < s.data_strips; ++i) {
                after.buffers.set(i, i == changed ? next : before.expected[i]);
            }
            codec.encode(after.data, after.parity, bytes);

            std::vector<std::byte*> parity = before.parity;
            for (unsigned j = 0; j < s.parity_strips; ++j) {
                if ((skipped >> j & 1) != 0) parity[j] = nullptr;
            }
            codec.update(StripIndex(changed), delta.data(), parity, bytes);
            INFO(s.shape() << " strip " << changed << ", " << bytes << " bytes");
            for (unsigned j = 0; j < s.parity_strips; ++j) {
                const unsigned strip = s.data_strips + j;
                const Bytes& expected =
                    parity[j] == nullptr ? before.expected[strip] : after.buffers.copy(strip);
                CHECK(before.buffers.equals(strip, expected));
            }
            CHECK(before.buffers.frame_is_intact());
        }
    }
}

TEST_CASE("zeros are a codeword of every scheme", "[ec]") {
    for (const Scheme& s : all_schemes()) {
        const std::vector<Bytes> data(s.data_strips, Bytes(64));
        std::vector<Bytes> parity(s.parity_strips, Bytes(64, std::byte{1}));
        std::vector<const std::byte*> in;
        std::vector<std::byte*> out;
        for (const Bytes& d : data)
            in.push_back(d.data());
        for (Bytes& p : parity)
            out.push_back(p.data());
        Codec(s).encode(in, out, 64);
        CHECK(parity == std::vector<Bytes>(s.parity_strips, Bytes(64)));
    }
}

TEST_CASE("a codec says exactly which losses it survives", "[ec]") {
    const auto survived = [](const Scheme& s, StripMask lost) {
        const auto count = static_cast<unsigned>(std::popcount(lost));
        switch (s.kind) {
            case CodeKind::striping:
            case CodeKind::linear:
                return count == 0;
            case CodeKind::mirror:
                return count < s.total_strips();
            case CodeKind::mirror_pairs:
                return (lost & (lost >> s.data_strips) & s.data_mask()) == 0;
            case CodeKind::parity:
                return count <= s.parity_strips;
        }
        return false;
    };
    for (const char* text :
         {"4+0", "1+1", "1+3", "4+1", "4+2", "2+2", "3+3", "8+3", "linear", "raid10"}) {
        const Scheme s = reference::scheme(text, text == std::string_view("raid10") ? 8 : 11);
        const Codec codec(s);
        for (StripMask lost = 0; lost <= s.all_mask(); ++lost) {
            if (codec.can_decode(lost) != survived(s, lost)) FAIL(text << " losing " << lost);
            if (!codec.can_decode(lost, 0)) FAIL(text << " wanting nothing");
        }
    }
    const Codec pairs(reference::scheme("raid10", 8));
    CHECK_FALSE(pairs.can_decode(0x33, 0x01));  // pair 0 is gone and wanted
    CHECK(pairs.can_decode(0x31, 0x20));        // pair 0 is gone, strip 5 has its partner
}

TEST_CASE("one codec serves many threads at once", "[ec]") {
    const Scheme s = reference::scheme("8+3");
    const auto codec = std::make_unique<const Codec>(s);
    std::vector<std::thread> threads;
    std::vector<unsigned> wrong(4);
    for (unsigned t = 0; t < wrong.size(); ++t) {
        threads.emplace_back([&codec, &s, &count = wrong[t], t] {
            Rng rng(t);
            for (unsigned round = 0; round < 50; ++round) {
                Stripe stripe(s, 256, 0, rng);
                codec->encode(stripe.data, stripe.parity, 256);
                std::vector<std::byte*> strips = stripe.buffers.pointers();
                const StripMask lost = 1 | (2u << rng.below(9));
                if (!codec->decode(lost, strips, 256) || !stripe.is_codeword()) ++count;
            }
        });
    }
    for (auto& thread : threads)
        thread.join();
    CHECK(wrong == std::vector<unsigned>(wrong.size()));
}
