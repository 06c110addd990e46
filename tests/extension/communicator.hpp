// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A communicator of one's own: ranks that are threads of one process and share its memory. Every rank
// adds all roots by itself, in the tree's order.
#pragma once

#include <barrier>
#include <vector>

#include <vrfm/parallel/communicator.hpp>

namespace extension {

/// What the ranks share; must outlive them.
struct ThreadTeam {
  explicit ThreadTeam(int n) : barrier(n), roots(std::size_t(n)), flags(roots.size()) {}
  std::barrier<> barrier;
  std::vector<std::vector<void*>> roots;  // of each rank, while it is in sum or broadcast
  std::vector<char> flags;
};

class ThreadCommunicator {
 public:
  ThreadCommunicator(ThreadTeam& team, int rank) : team_(&team), rank_(rank) {}

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(team_->roots.size()); }
  bool is_root() const { return rank_ == 0; }

  template <vrfm::ExecutionSpace Exec, class S>
  void sum(const Exec& exec, const vrfm::Partition& partition, std::span<S* const> roots, S* result,
           std::size_t count) const {
    static_assert(vrfm::is_host_space<Exec>);
    exec.fence();
    mine().assign(roots.begin(), roots.end());
    team_->barrier.arrive_and_wait();
    std::vector<vrfm::TreeNode> stack;
    std::vector<std::vector<S>> sums;
    for (int rank = 0; rank < size(); ++rank) {
      const auto nodes = partition.roots(partition.owned(rank, size()));
      for (std::size_t k = 0; k < nodes.size(); ++k) {
        const auto* from = static_cast<const S*>(team_->roots[static_cast<std::size_t>(rank)][k]);
        sums.emplace_back(from, from + count);
        for (int merged = partition.push(stack, nodes[k]); merged > 0; --merged) {
          for (std::size_t i = 0; i < count; ++i) sums[sums.size() - 2][i] += sums.back()[i];
          sums.pop_back();
        }
      }
    }
    team_->barrier.arrive_and_wait();  // nobody reads the roots any more
    std::copy(sums[0].begin(), sums[0].end(), result);
  }

  bool any(bool flag) const {
    team_->flags[static_cast<std::size_t>(rank_)] = flag;
    team_->barrier.arrive_and_wait();
    bool all = false;
    for (const char one : team_->flags) all = all || one != 0;
    team_->barrier.arrive_and_wait();
    return all;
  }

  template <vrfm::ExecutionSpace Exec, class View>
  void broadcast(const Exec& exec, const View& values) const {
    exec.fence();
    mine().assign(1, values.data());
    team_->barrier.arrive_and_wait();
    const auto* from = static_cast<typename View::value_type*>(team_->roots[0][0]);
    std::copy(from, from + (is_root() ? 0 : values.size()), values.data());
    team_->barrier.arrive_and_wait();
  }

 private:
  std::vector<void*>& mine() const { return team_->roots[static_cast<std::size_t>(rank_)]; }

  ThreadTeam* team_;
  int rank_;
};

}  // namespace extension
