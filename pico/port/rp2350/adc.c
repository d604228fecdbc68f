/* SPDX-License-Identifier: Apache-2.0 */
/* The converter: free running round robin, its FIFO emptied by DMA into a ring that nobody has to empty.
 * Which channel a sample is of follows from how many came before it, so a lost one (FIFO overflow, bus
 * error of the DMA) makes all that follow wrong: then everything begins anew. */
#include "port.h"

#define RING 512u               /* samples; 8 channels x 16 x 4 */
#define RING_BYTES_LOG2 10u
/* Cycles of 48 MHz from conversion to conversion. Section 12.4.3.2: one takes 96, and DIV.INT, which is one
 * less than this, is at least 96. */
#define CYCLES_MIN 97u
#define CYCLES_MAX 65536u
#define TRIES 1000u

__attribute__((section(".ring"), aligned(1024))) static volatile uint16_t ring[RING];
static struct {
	uint32_t channels, period, count;       /* count: transfers until DMA begins again */
	uint32_t last[8];
	bool primed;
} state;

/* DMA first, then the converter: section 12.4.3.5. The channel is idle. */
static void start(void)
{
	uint32_t mask = (1u << state.channels) - 1;
	state.primed = false;
	REG(DMA_AL1_CTRL) = DMA_READ_ERROR | DMA_WRITE_ERROR; /* section 12.6.7.2: else it refuses to start */
	REG(DMA_READ_ADDR) = ADC_FIFO; /* section 12.6.2.1, READ_ADDR */
	REG(DMA_WRITE_ADDR) = (uint32_t)(uintptr_t)ring; /* section 12.6.2.1, WRITE_ADDR */
	REG(DMA_TRANS_COUNT) = DMA_TRIGGER_SELF | state.count; /* section 12.6.2.2.1, TRANS_COUNT: mode 1 */
	REG(DMA_CTRL_TRIG) = DMA_EN | DMA_SIZE_16 | DMA_INCR_WRITE | RING_BYTES_LOG2 << DMA_RING_SIZE | DMA_RING_WRITE |
		0u << DMA_CHAIN_TO | DMA_TREQ_ADC << DMA_TREQ_SEL; /* section 12.6.10, CH0_CTRL_TRIG */
	REG(ADC_DIV) = (state.period - 1) << 8; /* section 12.4.3.2, DIV.INT */
	REG(ADC_FCS) = ADC_FCS_EN | ADC_FCS_DREQ_EN | ADC_FCS_ERR | 1u << ADC_FCS_THRESH |
		ADC_FCS_OVER | ADC_FCS_UNDER; /* section 12.4.7, FCS; the last two are cleared */
	REG(ADC_CS) = ADC_CS_EN | mask << ADC_CS_RROBIN | 0u << ADC_CS_AINSEL; /* section 12.4.7, CS */
	wait_for(ADC_CS, ADC_CS_READY);
	SET(ADC_CS) = ADC_CS_START_MANY; /* section 12.4.3.2, CS.START_MANY */
}

/* Converter first, then DMA, then what is left in the FIFO. */
static void stop(void)
{
	CLR(ADC_CS) = ADC_CS_START_MANY; /* section 12.4.3.5: then READY tells that the last one has ended */
	wait_for(ADC_CS, ADC_CS_READY);
	REG(DMA_AL1_CTRL) = 0; /* section 12.6.8.3 and erratum RP2350-E5: not enabled, before the abort */
	REG(DMA_ABORT) = 1; /* section 12.6.8.3, CHAN_ABORT: channel 0 */
	for (uint32_t i = 0; i < TRIES && REG(DMA_ABORT) & 1; i++)
		;
	for (uint32_t i = 0; i < TRIES && REG(DMA_AL1_CTRL) & DMA_BUSY; i++) /* section 12.6.7.2 */
		;
	for (uint32_t i = 0; i < TRIES && !(REG(ADC_FCS) & ADC_FCS_EMPTY); i++)
		(void)REG(ADC_FIFO);
}

bool hal_adc_start(unsigned channels, uint32_t tick_us)
{
	uint32_t period;
	if (channels < 1 || channels > ADC_PINS)
		return false;
	period = 3 * tick_us / channels; /* 48 MHz / (channels x 16 a tick) */
	state.channels = channels;
	state.period = period < CYCLES_MIN ? CYCLES_MIN : period > CYCLES_MAX ? CYCLES_MAX : period;
	state.count = channels << 24; /* a multiple of the ring and of the channels: nothing shifts when it ends */
	REG(ADC_CS) = ADC_CS_EN; /* section 12.4.3: power on, before the first conversion */
	wait_for(ADC_CS, ADC_CS_READY);
	stop(); /* if it ran */
	start();
	return true;
}

static uint32_t converted(void)
{
	return state.count - (REG(DMA_TRANS_COUNT) & DMA_COUNT);
}

bool hal_adc_newest(unsigned channel, uint16_t *out, unsigned n)
{
	uint32_t done = converted(), from;
	bool good = true;
	if (!state.primed && done < 16 * state.channels)
		return false;
	if (state.primed && done == state.last[channel])
		return false; /* it stands still */
	state.primed = true;
	state.last[channel] = done;
	from = done + state.count - 1; /* the newest; counted from before the last restart of the DMA */
	from -= (from - channel) % state.channels;
	for (unsigned i = 0; i < n; i++) {
		uint16_t sample = ring[(from - i * state.channels) % RING];
		good = good && !(sample & ADC_FIFO_ERR);
		out[i] = sample & 0xfff;
	}
	return good;
}

bool hal_adc_overrun(void)
{
	if (!(REG(ADC_FCS) & ADC_FCS_OVER) && !(REG(DMA_CTRL_TRIG) & DMA_AHB_ERROR))
		return false;
	stop();
	start();
	return true;
}
