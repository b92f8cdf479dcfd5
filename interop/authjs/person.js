// A person's browser, as the client's storage sees it: what a tab keeps to
// itself, and what all tabs share.
const provider = (map) => ({
  getItem: (key) => map.get(key) ?? null,
  setItem: (key, value) => void map.set(key, value),
  removeItem: (key) => void map.delete(key),
});

export class Browser {
  shared = new Map();
  tokens = new Map();

  tab() {
    return new Tab(this);
  }
}

export class Tab {
  constructor(browser = new Browser(), transaction = new Map()) {
    this.browser = browser;
    this.transaction = transaction;
  }

  // copy is the tab as it is now, kept by someone who held on to its storage.
  copy() {
    return new Tab(this.browser, new Map(this.transaction));
  }

  // edit changes the stored transaction.
  edit(change) {
    for (const [key, value] of this.transaction) this.transaction.set(key, change(value));
  }

  storageManager() {
    return {
      token: { storageProvider: provider(this.browser.tokens) },
      transaction: { storageProvider: provider(this.transaction) },
      'shared-transaction': { storageProvider: provider(this.browser.shared) },
    };
  }
}
