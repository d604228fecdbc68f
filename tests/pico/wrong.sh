#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Firmware that is wrong in one place, again and again: the emulated machine must catch each. That is what
# makes its yes to the right firmware worth something.
#
# Usage: TEST_MACHINE=PATH tests/pico/wrong.sh SOURCE_ROOT WORK_FOLDER
#
# Prints per variant what caught it, and "N passed, N failed" last. A change whose text is not found
# exactly once in the sources fails: then this list is behind them.

set -uo pipefail
: "${TEST_MACHINE:?}"
root=$1 work=$2
export PICO_KEEP_OBJECTS=1
passed=0 failed=0

# variant NAME SCENARIO FILE FROM TO WHY: builds the firmware with FROM replaced by TO, runs the scenario. What
# catches it must say something that matches WHY.
variant() {
	local name=$1 scenario=$2 file=$3 from=$4 to=$5 why=$6 text rest caught
	text=$(<"$root/$file")
	rest=${text#*"$from"}
	if [ "$rest" = "$text" ] || [[ $rest == *"$from"* ]]; then
		fault "$name: \"$from\" is not there exactly once in $file"
		return
	fi
	printf '%s\n' "${text%%"$from"*}$to$rest" >"$work/src/$file"
	[[ $file != *.h ]] || rm -f "$work"/out/*.o
	if ! "$root/pico/build.sh" rp2350 "$work/out" "$work/src" >"$work/log" 2>&1; then
		fault "$name cannot be built: $(tail -n 3 "$work/log")"
	elif timeout -k 1 60 "$TEST_MACHINE" --first "$work/out/dsm-rp2350.bin" "$scenario" >"$work/log" 2>&1; then
		fault "$name goes through $scenario"
	else
		caught=$(grep '^#.*not so' "$work/log" | head -n 1 | sed 's/^# *//; s/not so: .*: fault: //')
		if [[ $caught =~ $why ]]; then
			passed=$((passed + 1))
			printf 'ok %s: %s\n' "$name" "$caught"
		else
			fault "$name is caught by something else than \"$why\": ${caught:-$(tail -n 2 "$work/log")}"
		fi
	fi
	cp "$root/$file" "$work/src/$file"
	[[ $file != *.h ]] || rm -f "$work"/out/*.o
}

fault() {
	failed=$((failed + 1))
	printf 'not ok %s\n' "$1"
}

rp=pico/port/rp2350
rm -rf "$work"
mkdir -p "$work/src/lib"
cp -r "$root/pico" "$work/src/"
cp -r "$root/lib/wire" "$work/src/lib/"

# the control: unchanged it goes through
if "$root/pico/build.sh" rp2350 "$work/out" "$work/src" >"$work/log" 2>&1 &&
	"$TEST_MACHINE" "$work/out/dsm-rp2350.bin" steady >"$work/log" 2>&1; then
	passed=$((passed + 1))
else
	fault "the unchanged firmware: $(tail -n 3 "$work/log")"
fi

variant 'ADC stays in reset' steady $rp/clocks.c '(RESET_ADC | RESET_DMA |' '(RESET_DMA |' 'ADC at .* in reset'
variant 'DMA stays in reset' steady $rp/clocks.c '(RESET_ADC | RESET_DMA |' '(RESET_ADC |' 'DMA at .* in reset'
variant 'SPI0 stays in reset' steady $rp/clocks.c 'RESET_SPI0 | RESET_TIMER0' 'RESET_TIMER0' 'SPI0 at .* in reset'
variant 'pads stay in reset' steady $rp/clocks.c 'RESET_IO_BANK0 | RESET_PADS_BANK0 |' 'RESET_IO_BANK0 |' 'PADS_BANK0 at .* in reset'
variant 'no clk_adc' steady $rp/clocks.c 'REG(CLK_ADC_CTRL) = CLK_ENABLE;' '' '0 datagrams'
variant 'no clk_peri' steady $rp/clocks.c 'REG(CLK_PERI_CTRL) = CLK_ENABLE;' '' '0 datagrams'
variant 'PLL before the crystal is stable' steady $rp/clocks.c 'wait_for(XOSC_STATUS, XOSC_STABLE);' '' 'crystal'
variant 'clk_sys before the PLL has locked' steady $rp/clocks.c 'wait_for(pll + PLL_CS, PLL_LOCK);' '' 'PLL_SYS, which does not run'
variant 'VCO too fast' steady $rp/clocks.c 'pll_start(PLL_SYS, 125, 5, 2)' 'pll_start(PLL_SYS, 150, 6, 2)' 'VCO of 1800'
variant 'clk_sys too fast' steady $rp/clocks.c 'pll_start(PLL_SYS, 125, 5, 2)' 'pll_start(PLL_SYS, 125, 5, 1)' 'clk_sys of 300'
variant 'wrong tick divider' steady $rp/clocks.c '= 12; /* section 8.5' '= 13; /* section 8.5' '181 datagrams|its clock'
variant 'watchdog resets nothing' steady $rp/clocks.c 'REG(PSM_WDSEL) = PSM_ALL & ~(PSM_ROSC | PSM_XOSC);' '' 'WDSEL'
variant 'watchdog not started' hangs $rp/start.c '	watchdog_start();' '' 'after it hung'
variant 'pads stay isolated' steady $rp/pins.c 'CLR(PAD(number)) = PAD_ISO;' '' 'pad is isolated'
variant 'input of an ADC pad on' steady $rp/pins.c 'FUNC_NULL, PAD_OD)' 'FUNC_NULL, PAD_OD | PAD_IE)' 'input or pulls are on'
variant 'no pull-ups at the buttons' steady $rp/pins.c 'FUNC_SIO, in | PAD_PUE)' 'FUNC_SIO, in)' 'buttons'
variant 'buttons the wrong way round' steady $rp/pins.c 'return ~REG(SIO_GPIO_IN)' 'return REG(SIO_GPIO_IN)' 'buttons'
variant 'wrong baud rate' fresh $rp/pins.c 'REG(UART_IBRD) = 81;' 'REG(UART_IBRD) = 8;' 'baud'
variant 'narrow write to a register' fresh $rp/pins.c 'REG(UART_DR) = (uint8_t)c' '*(volatile uint8_t *)UART_DR = (uint8_t)c' 'smeared'
variant 'wrong ADC divider' steady $rp/adc.c 'period = 3 * tick_us' 'period = 6 * tick_us' 'conversions in'
variant 'wrong channel order' steady $rp/adc.c '(from - channel) % state.channels' '(from + channel) % state.channels' 'channel .: .*injected'
variant 'wrong DMA request' steady $rp/regs.h 'DMA_TREQ_ADC 48u' 'DMA_TREQ_ADC 49u' 'paced by request 49'
variant 'DMA ends after its count' wraps $rp/adc.c 'DMA_TRIGGER_SELF | state.count' 'state.count' 'channel .: .*injected'
variant 'goes on after an overrun' overrun $rp/adc.c "	stop();
	start();
	return true;" '	if (state.channels == 9)
		stop();
	REG(ADC_FCS) |= ADC_FCS_OVER;
	return true;' 'channel .: .*injected'
variant 'round robin begins anywhere after an overrun' overrun $rp/adc.c '0u << ADC_CS_AINSEL' '(REG(ADC_CS) & 0xf000)' 'channel .: .*injected'
variant 'conversion errors not marked' converter_fails $rp/adc.c 'ADC_FCS_DREQ_EN | ADC_FCS_ERR |' 'ADC_FCS_DREQ_EN |' '0 datagrams say'
variant 'SPI too fast' steady $rp/net.c '2u << 8 | 7u' '0u << 8 | 7u' 'SPI0 at'
variant 'SPI read before it is there' steady $rp/net.c 'if (REG(SPI_SR) & SPI_SR_RNE)' 'if (1)' 'empty receive FIFO'
variant 'W5500 spoken to too early' steady $rp/net.c 'SETTLE_US 2000u' 'SETTLE_US 100u' 'in reset, or within 1 ms'
variant 'spins on SENDOK' arp_timeout pico/drv/w5500.c '	c->sending = true;
' '	while (!(get8(c, SOCKET, SN_IR) & SN_IR_SENDOK))
		;
	c->sending = true;
' '1 timeouts'
variant 'SEND while one is under way' arp_timeout pico/drv/w5500.c 'if (c->sending || free_bytes' 'if (free_bytes' 'SEND while one'
variant 'free size read once' torn_free_size pico/drv/w5500.c 'if (again == last)' 'if (again)
			return last;
		if (again == last)' 'datagrams'
variant 'link not looked at' link_down pico/drv/w5500.c '	c->link = get8(c, COMMON, PHYCFGR) & PHYCFGR_LNK;
}

/* "Sn_TX_FSR"' '	c->link = true;
}

/* "Sn_TX_FSR"' 'flags 0x1'
variant 'words of the W5500 the wrong way round' steady pico/drv/w5500.c '{ (uint8_t)(value >> 8), (uint8_t)value };' '{ (uint8_t)value, (uint8_t)(value >> 8) };' 'there is room for|bytes are to be sent'
variant 'flash written while it is mapped' steady $rp/flash.c '	leave();' '' 'while flash is mapped'
variant 'cache not flushed' steady $rp/flash.c 'HAL_FLASH_PAGE);
	flush();' 'HAL_FLASH_PAGE);' 'stale cache'
variant 'store in the image' steady $rp/flash.c 'STORE 0xf0000u' 'STORE 0x00000u' '0 datagrams|outside of the store'
variant 'no IMAGE_DEF' steady $rp/start.c '0x10210142' '0x10200142' 'IMAGE_DEF'
variant 'epoch not stored' restarts pico/core/device.c 'd->hal.store_epoch(d->hal.context, d->epoch)' 'true' 'epoch 1 in start 2'
variant 'CRC of the journal not looked at' power_cuts pico/core/journal.c ' && get32(bytes + j->slot - 4) == pico_crc32(bytes, j->slot - 4u)' '' 'cut 2'
variant 'bouncing counts as presses' buttons pico/core/buttons.c ' || now_us - b->since_us[i] < b->debounce_us' '' 'presses'
variant 'dropped ticks not counted' tx_full pico/core/device.c 'd->dropped++;' 'd->dropped++, d->seq--;' 'dropped ticks are not counted'
variant 'mean of one sample' steady pico/core/device.c 'pico_average(samples, d->config.log2_average)' 'pico_average(samples, 0)' 'channel .: .*injected'
variant 'one sample, sixteen times' steady $rp/adc.c '(from - i * state.channels) % RING' '(from - 0 * i) % RING' 'channel .: .*injected'
variant 'a conversion each 96 cycles, by the divider' steady $rp/adc.c '(state.period - 1) << 8' '95u << 8' 'DIV.INT 95'
variant 'at the limit of the converter, not beyond it' steady $rp/adc.c 'period = 3 * tick_us' 'period = 0 * tick_us' 'conversions in'
variant 'DMA aborted while it is enabled' overrun $rp/adc.c 'REG(DMA_AL1_CTRL) = 0;' '' 'E5'
variant 'DMA started with its error flags up' dma_error $rp/adc.c 'REG(DMA_AL1_CTRL) = DMA_READ_ERROR | DMA_WRITE_ERROR;' '' 'it refuses'
variant 'free size not looked at' tx_full pico/drv/w5500.c 'free_bytes(c) < n' '(free_bytes(c) < n && c->sending)' 'there is room for 0'
variant 'mask and address swapped' steady pico/drv/w5500.c 'SUBR, s->mask, 4);
	put(c, COMMON, SHAR, s->mac, 6);
	put(c, COMMON, SIPR, s->address, 4)' 'SUBR, s->address, 4);
	put(c, COMMON, SHAR, s->mac, 6);
	put(c, COMMON, SIPR, s->mask, 4)' 'SIPR 255'
variant 'a chip that is late is lost' late_chip pico/core/board.c 'else if (hal_now_us() >= b->net_due_us)' 'else if (0)' 'after the chip came'
variant 'a SEND may take for ever' send_lost pico/drv/w5500.c '|| stuck ||' '|| (stuck && !c->open) ||' 'after the chip was set up again'
variant 'a lost socket is not looked for' chip_forgets pico/drv/w5500.c '!c->open || stuck || get8(c, SOCKET, SN_SR) != SN_SR_UDP' '!c->open || stuck' 'after it'
variant 'link lost while it is set up is not told' chip_forgets pico/drv/w5500.c '	c->open = true; /*' '	c->open = c->link = true; /*' 'flags 0x1'
variant 'journal erases the sector that it has' power_cuts pico/core/journal.c '	sector ^= 1;' '' 'epoch 257 after 512'
variant 'epoch 0 after the last one' restarts pico/core/console.c ' && c->epoch <= CONSOLE_EPOCH_MAX' '' 'none comes after it|typed "epoch'
variant 'key echoed' fresh pico/core/console.c "is_secret(c) ? '*'" 'is_secret(c) ? typed' 'can be read'
variant 'stack too big' fresh pico/core/journal.c '	uint8_t bytes[HAL_FLASH_PAGE];
	uint32_t number = 0;' '	volatile uint8_t waste[1500];
	uint8_t bytes[HAL_FLASH_PAGE];
	uint32_t number = 0;
	for (unsigned i = 0; i < 1500; i++)
		bytes[i % HAL_FLASH_PAGE] = (waste[i] = 0);' 'half of the stack'

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
