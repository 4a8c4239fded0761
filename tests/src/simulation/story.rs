//! What happens by itself, when its time has come.

use super::{plan::Event, run::Run};

impl Run<'_> {
    /// What the script says for now.
    pub(super) async fn happenings(&mut self) -> Result<(), String> {
        while let Some((at, event)) = self.plan.script.get(self.next).copied() {
            if at > self.now() {
                return Ok(());
            }
            self.next += 1;
            self.note(|| format!("{event:?}"));
            match event {
                Event::Row(account, row) => {
                    self.shared.world().accounts[account].add(row.report, row.at, row.key, row.timed);
                }
                Event::ClockOff(off) => {
                    self.off = off;
                    self.set_clocks();
                    // A due time may now lie far ahead; the idle beat looks all the same.
                    self.rouse();
                }
                Event::Form(account, form) => self.shared.world().accounts[account].form = form,
                Event::Revoke(account) => {
                    let mut world = self.shared.world();
                    "secret-2".clone_into(&mut world.accounts[account].secret);
                    world.accounts[account].void_tokens();
                }
                Event::Restore(account) => {
                    "secret-1".clone_into(&mut self.shared.world().accounts[account].secret);
                }
                Event::Rotate(account) => self.rotate(account).await,
                Event::Restart(number) => self.seats[number].stop(),
                Event::Down(down) => self.shared.world().down = down,
                Event::Unreadable(day) => {
                    for account in &mut self.shared.world().accounts {
                        account.unreadable = day;
                    }
                }
            }
        }
        Ok(())
    }
}
