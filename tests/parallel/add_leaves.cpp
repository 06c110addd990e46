// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The kernel that adds the leaves of a gradient: by a thread and by a context, for leaves that are one
// node and for any, it leaves the same bits where the roots are, and touches nothing else.
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>

#include <vrfm/linalg/tile_context.hpp>
#include <vrfm/training/detail/add_leaves.hpp>

using vrfm::LeafRange;
using vrfm::Partition;
using vrfm::test::difference;
using vrfm::test::epsilon;
using vrfm::test::largest;
using vrfm::test::Numbers;

namespace {

constexpr std::size_t count = 600, stride = 608;
constexpr int terms = 3;

struct Sums {
  std::vector<float> gradients;
  std::vector<double> losses, squares;
};

/// The elements at the roots' places, as bits: the sign of a zero counts.
std::vector<std::uint32_t> root_bits(const Sums& sums, const Partition& partition,
                                     const LeafRange& range) {
  std::vector<std::uint32_t> bits;
  for (const auto& node : partition.roots(range)) {
    const auto first = static_cast<std::size_t>(node.first_leaf() - range.first) * stride;
    for (std::size_t i = 0; i < count; ++i)
      bits.push_back(std::bit_cast<std::uint32_t>(sums.gradients[first + i]));
  }
  return bits;
}

std::vector<double> root_losses(const Sums& sums, const Partition& partition,
                                const LeafRange& range) {
  std::vector<double> losses;
  for (const auto& node : partition.roots(range)) {
    const auto first = static_cast<std::size_t>(node.first_leaf() - range.first) * terms;
    for (std::size_t i = 0; i < terms; ++i) losses.push_back(sums.losses[first + i]);
  }
  return losses;
}

/// Adds by plain loops along the tree.
struct AddPlainly {
  Sums* sums;
  void operator()(int k, int l) const {
    const auto into = static_cast<std::size_t>(k), from = static_cast<std::size_t>(l);
    for (std::size_t i = 0; i < count; ++i)
      sums->gradients[into * stride + i] += sums->gradients[from * stride + i];
    for (std::size_t i = 0; i < terms; ++i)
      sums->losses[into * terms + i] += sums->losses[from * terms + i];
  }
};

void check_range(const Partition& partition, const LeafRange& range) {
  INFO("leaves " << range.first << " ... " << range.end() - 1 << " of " << partition.leaves());
  const auto blocks = vrfm::flat_blocks(static_cast<std::int64_t>(count));
  const auto n = static_cast<std::size_t>(range.count);
  Numbers numbers(51);
  const auto values = numbers.take(n * stride);
  Sums start{{values.begin(), values.end()},
             numbers.take(terms * n),
             std::vector<double>(static_cast<std::size_t>(blocks))};
  // Elements of which all leaves, or some, are a negative zero.
  for (std::size_t k = 0; k < n; ++k) {
    start.gradients[k * stride] = -0.0f;
    start.gradients[k * stride + count - 1] = k % 2 == 0 ? -0.0f : 0.0f;
  }

  Sums plain = start;
  vrfm::detail::each_addition(range, partition.leaves(), AddPlainly{&plain});
  double square = 0;
  for (std::size_t i = 0; i < count; ++i)
    square += static_cast<double>(plain.gradients[i]) * static_cast<double>(plain.gradients[i]);

  const bool one_node = vrfm::detail::is_one_node(range, partition.leaves());
  for (const bool as_node : {false, true}) {
    if (as_node && !one_node) continue;
    for (const bool by_thread : {true, false}) {
      INFO((as_node ? "as one node" : "as any leaves")
           << (by_thread ? " by a thread" : " by a context"));
      Sums sums = start;
      const vrfm::detail::AddLeaves<float> add{
          sums.gradients.data(), stride,  range,
          partition.leaves(),    as_node, static_cast<std::int64_t>(count),
          sums.losses.data(),    terms,   range,
          sums.squares.data()};
      for (int block = 0; block < static_cast<int>(blocks); ++block) {
        if (by_thread) {
          add(std::int64_t(block));
        } else {
          add(vrfm::TileContext<Kokkos::DefaultHostExecutionSpace>(), block);
        }
      }
      CHECK((root_bits(sums, partition, range) == root_bits(plain, partition, range)));
      CHECK(root_losses(sums, partition, range) == root_losses(plain, partition, range));
      double sum = 0;
      for (const double part : sums.squares) sum += part;
      CHECK(std::fabs(sum - square) <= 2 * count * epsilon<double> * square);
      bool untouched = true;
      for (std::size_t k = 0; k < n; ++k)
        for (std::size_t i = count; i < stride; ++i)
          untouched =
              untouched && sums.gradients[k * stride + i] == start.gradients[k * stride + i];
      CHECK(untouched);
    }
  }
}

}  // namespace

TEST_CASE("leaves are added alike by a thread and by a context", "[parallel][add_leaves]") {
  for (const int leaves : {1, 2, 7, 8, 9, 63, 64, 65, 200}) {
    const Partition partition(leaves, leaves);
    check_range(partition, {0, leaves});
    for (const int size : {2, 3, 4, 7, 8}) {
      for (int rank = 0; rank < size; ++rank) {
        const LeafRange range = partition.owned(rank, size);
        if (range.count > 0) check_range(partition, range);
      }
    }
  }
}
