#include "training/lanes.h"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <random>
#include <stdexcept>

#include <nlohmann/json.hpp>

namespace unroll {

Lanes::Lanes(const std::vector<TokenDocument>& documents, const Repeats& repeats, int lanes,
             std::int64_t block_width, std::int64_t piece_blocks, std::int64_t ignore_index,
             std::uint64_t seed, std::int32_t first_input)
    : lanes_(static_cast<std::size_t>(lanes)),
      block_width_(block_width),
      ignore_index_(ignore_index),
      seed_(seed),
      first_input_(first_input) {
  const auto piece_tokens = static_cast<std::size_t>(piece_blocks * block_width);
  for (const auto& document : documents) {
    const auto base = std::filesystem::path(document.name).filename().string();
    int times = 1;
    for (const auto& [prefix, count] : repeats) {
      if (base.starts_with(prefix)) times = count;
    }
    for (std::size_t begin = 0; begin < document.tokens.size(); begin += piece_tokens) {
      const auto end = std::min(begin + piece_tokens, document.tokens.size());
      for (int i = 0; i < times; ++i) pieces_.push_back({&document, begin, end});
    }
  }
  if (pieces_.empty()) throw std::runtime_error("there is nothing to train on: every document is empty");
  shuffle();
}

void Lanes::shuffle() {
  order_.resize(pieces_.size());
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::mt19937_64 random(seed_ + epoch_);
  for (std::size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random() % i]);
  next_in_order_ = 0;
}

std::size_t Lanes::take_piece() {
  if (next_in_order_ == order_.size()) {
    ++epoch_;
    shuffle();
  }
  return order_[next_in_order_++];
}

LaneBlock Lanes::next() {
  LaneBlock block;
  const auto size = lanes_.size() * static_cast<std::size_t>(block_width_);
  block.inputs.assign(size, 0);
  block.targets.assign(size, ignore_index_);
  for (std::size_t row = 0; row < lanes_.size(); ++row) {
    auto& lane = lanes_[row];
    if (!lane.active) {
      lane = {take_piece(), 0, true};
      lane.position = pieces_[lane.piece].begin;
    }
    const auto& piece = pieces_[lane.piece];
    const auto tokens = piece.document->tokens;
    block.begins.push_back(lane.position == piece.begin);
    auto index = row * static_cast<std::size_t>(block_width_);
    const auto end = std::min(piece.end, lane.position + static_cast<std::size_t>(block_width_));
    for (; lane.position < end; ++lane.position, ++index) {
      // A piece from a document's middle begins with the token before it.
      block.inputs[index] = lane.position == 0 ? first_input_ : tokens[lane.position - 1];
      block.targets[index] = tokens[lane.position];
    }
    lane.active = lane.position < piece.end;
  }
  return block;
}

nlohmann::json Lanes::position() const {
  auto lanes = nlohmann::json::array();
  for (const auto& lane : lanes_) lanes.push_back({lane.piece, lane.position, lane.active});
  return {{"epoch", epoch_}, {"next", next_in_order_}, {"pieces", pieces_.size()}, {"lanes", lanes}};
}

void Lanes::restore(const nlohmann::json& position) {
  if (position.at("pieces").get<std::size_t>() != pieces_.size() ||
      position.at("lanes").size() != lanes_.size()) {
    throw std::runtime_error(
        "the checkpoint was made with other data or another number of lanes; use a new folder with --out");
  }
  epoch_ = position.at("epoch");
  shuffle();
  next_in_order_ = position.at("next");
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const auto& lane = position.at("lanes")[i];
    lanes_[i] = {lane[0], lane[1], lane[2]};
  }
}

}  // namespace unroll
