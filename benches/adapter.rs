//! The wire's own costs: decoding the broker's binary packets.
//!
//! - `decode/full`: one full-mode packet of 184 bytes in its frame. The figure to reach is under 100 ns.
//! - `decode/frame-of-100`: a hundred of them in one frame, as a busy feed sends them; per packet.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use daybook_adapters::kite::ticks::decode;
use std::hint::black_box;

/// A frame of full-mode packets with plausible numbers.
fn frame(packets: u16) -> Vec<u8> {
    let mut bytes = packets.to_be_bytes().to_vec();
    for number in 0..u32::from(packets) {
        bytes.extend_from_slice(&184u16.to_be_bytes());
        let token = (2_885 + number) * 256 + 1;
        let words: Vec<u32> = (0..45).map(|at| 130_000 + at * 7).collect();
        bytes.extend_from_slice(&token.to_be_bytes());
        words.iter().for_each(|word| bytes.extend_from_slice(&word.to_be_bytes()));
    }
    bytes
}

fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for (name, packets) in [("full", 1u16), ("frame-of-100", 100)] {
        let frame = frame(packets);
        group.throughput(Throughput::Elements(u64::from(packets)));
        group.bench_with_input(BenchmarkId::from_parameter(name), &frame, |bencher, frame| {
            bencher.iter(|| {
                decode(black_box(frame), |tick| {
                    black_box(tick).expect("the frame is whole");
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decoding);
criterion_main!(benches);
