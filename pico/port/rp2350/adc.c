/* SPDX-License-Identifier: Apache-2.0 */
/* The converter: free running round robin, its FIFO emptied by DMA into a ring that nobody has to empty.
 * Which channel a sample is of follows from how many came before it, so a lost one (FIFO overflow) makes
 * all that follow wrong: then everything begins anew. */
#include "port.h"

#define RING 512u               /* samples; 8 channels x 16 x 4 */
#define RING_BYTES_LOG2 10u
#define CYCLES_MIN 96u          /* section 12.4.3: of 48 MHz, for one conversion */
#define TRIES 1000u

__attribute__((section(".ring"), aligned(1024))) static volatile uint16_t ring[RING];
static struct {
	uint32_t channels, period, count;       /* count: transfers until DMA begins again */
	uint32_t last[8];
	bool primed;
} state;

static void start(void)
{
	uint32_t mask = (1u << state.channels) - 1;
	state.primed = false;
	REG(DMA_READ_ADDR) = ADC_FIFO; /* section 12.6.2, Configuring channels */
	REG(DMA_WRITE_ADDR) = (uint32_t)(uintptr_t)ring;
	REG(DMA_TRANS_COUNT) = DMA_TRIGGER_SELF | state.count;
	REG(DMA_CTRL_TRIG) = DMA_EN | DMA_SIZE_16 | DMA_INCR_WRITE | RING_BYTES_LOG2 << DMA_RING_SIZE | DMA_RING_WRITE |
		0u << DMA_CHAIN_TO | DMA_TREQ_ADC << DMA_TREQ_SEL;
	REG(ADC_DIV) = (state.period - 1) << 8; /* section 12.4.7, DIV */
	REG(ADC_FCS) = ADC_FCS_EN | ADC_FCS_DREQ_EN | ADC_FCS_ERR | 1u << ADC_FCS_THRESH |
		ADC_FCS_OVER | ADC_FCS_UNDER; /* section 12.4.7, FCS; the last two are cleared */
	REG(ADC_CS) = ADC_CS_EN | mask << ADC_CS_RROBIN | 0u << ADC_CS_AINSEL; /* section 12.4.7, CS */
	wait_for(ADC_CS, ADC_CS_READY);
	SET(ADC_CS) = ADC_CS_START_MANY;
}

/* Converter first, then DMA, then what is left in the FIFO. */
static void stop(void)
{
	CLR(ADC_CS) = ADC_CS_START_MANY;
	wait_for(ADC_CS, ADC_CS_READY);
	REG(DMA_ABORT) = 1; /* section 12.6, CHAN_ABORT: channel 0 */
	for (uint32_t i = 0; i < TRIES && REG(DMA_ABORT) & 1; i++)
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
	state.period = period < CYCLES_MIN ? CYCLES_MIN : period > 65536 ? 65536 : period;
	state.count = channels << 24; /* a multiple of the ring and of the channels: nothing shifts when it ends */
	REG(ADC_CS) = ADC_CS_EN; /* section 12.4.3: power on, before the first conversion */
	wait_for(ADC_CS, ADC_CS_READY);
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
