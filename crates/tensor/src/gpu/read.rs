//! What is read back.

use super::buffers::{Activation, Matrix, Slot};
use super::signal::signal;
use super::{Error, Gpu};
use crate::activation::{self, Precision};

impl Gpu {
    /// The first words of some buffers, as they are when all that was recorded is done.
    pub(super) async fn fetch(&self, parts: &[(&Slot, usize)]) -> Result<Vec<Vec<u32>>, Error> {
        self.alive()?;
        let words: usize = parts.iter().map(|(_, words)| words).sum();
        let staging = self.recorder.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("read"),
            size: words as u64 * 4,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut at = 0;
        for (slot, words) in parts {
            self.recorder.copy((&slot.buffer, 0), (&staging, at), *words);
            at += words;
        }
        self.recorder.submit();
        let (sender, waiting) = signal();
        staging.map_async(wgpu::MapMode::Read, .., move |result| sender.send(result));
        self.recorder.turn();
        let mapped = waiting.await;
        // A device that was lost or out of memory says so; its buffers only say that they failed.
        self.alive()?;
        mapped.map_err(|e| Error::Failed(e.to_string()))?;
        let view = staging.get_mapped_range(..).map_err(|e| Error::Failed(e.to_string()))?;
        let mut rest: &[u8] = &view;
        let read = parts.iter().map(|(_, words)| {
            let (part, after) = rest.split_at(words * 4);
            rest = after;
            bytemuck::pod_collect_to_vec(part)
        });
        Ok(read.collect())
    }

    pub(super) async fn read_matrix(&self, x: &Matrix) -> Result<activation::Matrix, Error> {
        let parts = self.fetch(&[(&x.data, x.rows * x.cols), (&x.exponents, x.rows)]).await?;
        let [data, exponents] = <[Vec<u32>; 2]>::try_from(parts).expect("two parts were asked for");
        Ok(activation::Matrix {
            cols: x.cols,
            data: bytemuck::cast_vec(data),
            exponents: bytemuck::cast_vec(exponents),
        })
    }

    pub(super) async fn read_quantised(
        &self,
        a: &Activation,
    ) -> Result<activation::Activation, Error> {
        let blocks = a.tokens * a.width();
        let parts = [(&a.mantissas, blocks * 16), (&a.blocks, blocks), (&a.exponents, a.tokens)];
        let parts = self.fetch(&parts).await?;
        let [mantissas, blocks, exponents] =
            <[Vec<u32>; 3]>::try_from(parts).expect("three parts were asked for");
        let mut out = activation::Activation::with_capacity(a.precision, a.tokens, a.cols);
        for words in mantissas.as_chunks::<16>().0 {
            match a.precision {
                Precision::Row => out.mantissas.extend_from_slice(bytemuck::cast_slice(words)),
                Precision::Block => out.mantissas.extend((0..32).map(|col| halves(words, col))),
            }
        }
        out.shifts.extend(blocks.iter().map(|b| (b & 15) as u8));
        out.sums.extend(blocks.iter().map(|b| *b as i32 >> 4));
        out.exponents = bytemuck::cast_vec(exponents);
        Ok(out)
    }
}

/// The mantissa of a column of a block, from its halves: see quantise.wgsl.
fn halves(words: &[u32; 16], col: usize) -> i16 {
    let (eight, k) = (col / 8, col % 8);
    let word = eight * 2 + (k / 2) % 2;
    let byte = (k % 2) * 2 + k / 4;
    let of = |word: u32| (word >> (8 * byte)) as u8;
    i16::from(of(words[word]) as i8) * 128 + i16::from(of(words[word + 8]))
}
